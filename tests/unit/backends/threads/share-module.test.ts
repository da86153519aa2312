import { describe, expect, test } from "vitest";
import { hasRelaxedSimd } from "../../../../src/backends/wasm/kernel-variants.ts";
import { shareModule } from "../../../../src/backends/wasm/threads/share-module.ts";
import { kernelBytes } from "../../../support/threads.ts";

const names = hasRelaxedSimd() ? (["plain", "relaxed"] as const) : (["plain"] as const);

describe.each(names)("%s.wasm, shared", (name) => {
  const bytes = kernelBytes(name);
  const module = new WebAssembly.Module(shareModule(bytes));
  const shared = (pages: number) =>
    new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });

  test("works on shared memory of any size, and on no other", () => {
    for (const pages of [2, 40]) {
      new WebAssembly.Instance(module, { env: { memory: shared(pages) } });
    }
    const unshared = new WebAssembly.Memory({ initial: 2, maximum: 2 });
    expect(() => new WebAssembly.Instance(module, { env: { memory: unshared } })).toThrow(
      WebAssembly.LinkError,
    );
  });

  test("lets each instance have its own stack, 64 KiB as built", () => {
    const memory = shared(4);
    const stackOf = () =>
      new WebAssembly.Instance(module, { env: { memory } }).exports
        .__stack_pointer as WebAssembly.Global;
    const [one, two] = [stackOf(), stackOf()];
    expect(one.value).toBe(64 * 1024);
    two.value = 200_000;
    expect([one.value, two.value]).toEqual([64 * 1024, 200_000]);
  });

  test("exports what it did before, and the stack pointer", () => {
    const before = WebAssembly.Module.exports(new WebAssembly.Module(bytes as BufferSource));
    const after = WebAssembly.Module.exports(module);
    expect(after).toEqual([...before, { name: "__stack_pointer", kind: "global" }]);
  });

  test("has the code that it had", () => {
    const code = (of: Uint8Array) => {
      // The code is all but a few bytes of a module: its last 40,000 lie in it.
      return Buffer.from(of.subarray(of.length - 40_000)).toString("base64");
    };
    expect(code(shareModule(bytes))).toBe(code(bytes));
  });
});

const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
test.each([
  ["nothing", []],
  ["no sections", header],
  ["a section that is cut off", [...header, 2, 15, 1, 3]],
  ["a number without an end", [...header, 2, 128, 128, 128, 128, 128, 128]],
  ["an imported function", [...header, 2, 7, 1, 1, 97, 1, 98, 0, 0]],
])("a module of %s is refused", (_, bytes) => {
  expect(() => shareModule(Uint8Array.from(bytes))).toThrow(/not a module to share/);
});
