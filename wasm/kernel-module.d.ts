/** What importing a kernel's .wasm gives where bundlers compile it (Workers): not yet instantiated. */
declare const module: WebAssembly.Module;
export default module;
