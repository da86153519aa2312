/** Files that attack are refused with the reason, in a process whose heap has 128 MB, within seconds. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HOSTILE } from "./hostile-files.ts";
import type { Opened, ToOpen } from "./open-child.ts";

const HEAP_MB = 128;
/** Node itself, the heap, kernels, and the largest file that is read whole, of 64 MB. */
const MOST_MB = 300;
const MOST_MS = 5000;

/** A module finds what lies beside it where its source is. */
const keepLocations: Plugin = {
  name: "keep-locations",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
      const url = JSON.stringify(pathToFileURL(path).href);
      const contents = readFileSync(path, "utf8").replaceAll(/\bimport\.meta\.url\b/g, url);
      return { contents, loader: "ts" };
    });
  },
};

const root = mkdtempSync(join(tmpdir(), "pronk-hostile-"));
const opened = new Map<string, Opened>();
beforeAll(async () => {
  const list = HOSTILE.map(({ name, way, write }, i): ToOpen => {
    const path = join(root, `${i}${name.startsWith("GGUF") ? ".gguf" : ""}`);
    write(path);
    return { name, way, path };
  });
  writeFileSync(join(root, "list.json"), JSON.stringify(list));
  await build({
    entryPoints: ["tests/unit/hostile/open-child.ts"],
    outfile: join(root, "open-child.mjs"),
    bundle: true,
    platform: "node",
    format: "esm",
    plugins: [keepLocations],
    // The YAML reader is in CommonJS.
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
    logLevel: "error",
  });
  const args = [`--max-old-space-size=${HEAP_MB}`, "open-child.mjs", "list.json"];
  const options = { cwd: root, timeout: 120_000, maxBuffer: 1e8, encoding: "utf8" } as const;
  const child = spawnSync(process.execPath, args, options);
  for (const line of child.stdout.split("\n").filter(Boolean)) {
    const one: Opened = JSON.parse(line);
    opened.set(one.name, one);
  }
  expect([child.status, child.stderr]).toEqual([0, ""]);
}, 150_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("is refused", () => {
  test.each(HOSTILE.map((one) => [one.name, one] as const))("%s", (name, { code, reason }) => {
    const found = opened.get(name);
    expect(found?.code).toMatch(new RegExp(`^(?:${code})$`));
    expect(found?.message).toMatch(reason);
    expect(found?.message?.length).toBeLessThan(1000);
    expect(found?.ms).toBeLessThan(MOST_MS);
  });
});

test("all of it in bounded memory", () => {
  const peak = Math.max(...[...opened.values()].map(({ peakMb }) => peakMb));
  expect(peak).toBeLessThan(MOST_MB);
});
