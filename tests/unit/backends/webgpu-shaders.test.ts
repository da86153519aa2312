import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

test("the generated module holds the shaders of wgsl/", () => {
  const run = (): string =>
    execFileSync(process.execPath, ["scripts/build-wgsl.mjs", "--check"], {
      encoding: "utf8",
      timeout: 20_000,
    });
  expect(run).not.toThrow();
});
