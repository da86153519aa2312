import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const script = pathToFileURL("scripts/build-wasm/glue.mjs").href;
const { writeGlue } = await import(script);
const modules = {
  relaxed: readFileSync("wasm/dist/relaxed.wasm"),
  plain: readFileSync("wasm/dist/plain.wasm"),
  wide: readFileSync("wasm/dist/wide.wasm"),
};
const folder = mkdtempSync(join(tmpdir(), "pronk-glue-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("kernels.gen.ts is what the C sources and the built modules give", () => {
  const output = execFileSync(process.execPath, ["scripts/build-wasm.mjs", "--check-glue"]);
  expect(output.toString()).toBe("kernels.gen.ts is fresh\n");
});

test("the modules that any host may load take less than 100 KB, the wide one 70 KB", () => {
  const bytesOf = (name: string): number => statSync(`wasm/dist/${name}.wasm`).size;
  expect(bytesOf("relaxed") + bytesOf("plain")).toBeLessThan(100_000);
  expect(bytesOf("wide")).toBeLessThan(70_000);
});

/** The glue of the sources with one replacement in one file. */
function glueWith(file: string, from: string, to: string): string {
  const sources = join(folder, file);
  cpSync("wasm", sources, { recursive: true });
  const text = readFileSync(join(sources, file), "utf8");
  expect(text).toContain(from);
  writeFileSync(join(sources, file), text.replace(from, to));
  return writeGlue(sources, modules);
}

describe("the glue is refused", () => {
  test.each([
    ["when a parameter's type changed", "add.c", "const float *x, int32_t n", "float x, int32_t n"],
    [
      "when a parameter is gone",
      "argmax.c",
      "argmax(const float *x, int32_t n)",
      "argmax(int32_t n)",
    ],
    ["when a 64-bit integer would be passed", "argmax.c", "int32_t argmax", "int64_t argmax"],
    ["when a kernel was built that no source has", "argmax.c", "EXPORT(argmax)", ""],
    [
      "when a source's kernel was not built",
      "add.c",
      "EXPORT(add)",
      "EXPORT(sub)\nvoid sub(int32_t n) {}\n\nEXPORT(add)",
    ],
    ["when a name and its function differ", "add.c", "EXPORT(add)\n", "EXPORT(plus)\n"],
  ])("%s", (_, file, from, to) => {
    expect(() => glueWith(file, from, to)).toThrow(/add|argmax|sub/);
  });
});
