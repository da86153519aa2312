/** What computes: "auto" leaves it open, see choose-backend.ts. */
export type Backend = "auto" | "wasm" | "webgpu" | "reference";
