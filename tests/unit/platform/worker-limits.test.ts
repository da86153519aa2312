/** The platform's limits, which a local workerd does not enforce. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { loadModel } from "../../../src/engine/load-model.ts";
import { packModel } from "../../../src/engine/pack-model.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { SourceFolder } from "../../../src/sources/source.ts";
import { memoryFolder } from "../pack/memory-folder.ts";

const BPE = "tests/goldens/tokenizers/tok_bpe.gguf";

/** An object that is opened with its size asks storage for nothing yet: R2, S3, HTTP and assets alike. */
function counted(folder: SourceFolder): { folder: SourceFolder; most: number; asked: string[] } {
  let now = 0;
  const found = {
    most: 0,
    asked: [] as string[],
    folder: {
      name: folder.name,
      async open(name: string, signal?: AbortSignal, size?: number) {
        const source = await folder.open(name, signal, size);
        if (size === undefined) found.asked.push(name);
        return {
          name: source.name,
          size: source.size,
          async readInto(...args: Parameters<typeof source.readInto>) {
            found.asked.push(name);
            found.most = Math.max(found.most, ++now);
            await new Promise((resolve) => setTimeout(resolve, 1));
            await source.readInto(...args);
            now--;
          },
        };
      },
    },
  };
  return found;
}

test("a load asks storage once for each object, twice for the manifest, and for two at a time", async () => {
  const folder = memoryFolder("pack");
  const gguf = [memorySource(new Uint8Array(readFileSync(BPE)), BPE)];
  const { shards } = await packModel({ gguf }, folder, { shardBytes: 8 * 1024 });
  expect(shards.length).toBeGreaterThan(4);
  const found = counted(folder);
  await loadModel(
    { pack: found.folder },
    {
      kernels: { plain: new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm")) },
      yieldTask: () => Promise.resolve(),
      now: () => 0,
      wallClock: () => 0,
      randomSeed: () => 1,
    },
  );
  // Of 6 that may wait for headers, and 50 (or 10,000) in all: a pack of 98 MB has 6 shards.
  expect(found.most).toBe(2);
  expect(found.asked).toHaveLength(shards.length + 1 + 2);
});

test("the Worker counts on the CPU time that wrangler.toml asks for, and hears of clients that leave", () => {
  const toml = readFileSync("wrangler.toml", "utf8");
  const asked = /^cpu_ms = (\d+)$/m.exec(toml)?.[1];
  const counted = /cpuMs: ([\d_]+)/.exec(readFileSync("workers/cloudflare.ts", "utf8"))?.[1];
  expect(Number(counted?.replaceAll("_", ""))).toBe(Number(asked));
  expect(toml).toMatch(/^compatibility_flags = \[.*"enable_request_signal".*\]$/m);
});
