/** What comes wrong once is fetched again: from storage that is whole the second time. */
import { expect, test } from "vitest";
import { type ErrorCode, PronkError } from "../../../src/errors.ts";
import { loadBlob, loadWeights, readManifest } from "../../../src/pack/loader.ts";
import { MANIFEST_NAME } from "../../../src/pack/manifest.ts";
import type { SourceFolder } from "../../../src/sources/source.ts";
import { SAMPLE_FIELDS, SAMPLE_TOKENIZER, samplePack } from "./sample-pack.ts";

const { folder, manifest } = await samplePack();
const image = new Uint8Array(manifest.weight_bytes);
await loadWeights(folder, manifest, image);

test.each<[string, ErrorCode]>([
  ["came wrong", "corrupt"],
  ["could not be read, for good", "source_failed"],
])(
  "what %s once is fetched again from the start: manifest, shard and tokenizer",
  async (_, code) => {
    const opened = new Map<string, number>();
    const flaky: SourceFolder = {
      name: folder.name,
      async open(name, signal) {
        opened.set(name, (opened.get(name) ?? 0) + 1);
        if (opened.get(name) === 1) throw new PronkError(code, `${name}: not what was asked`);
        return folder.open(name, signal);
      },
    };
    expect((await readManifest(flaky)).checksum).toBe(manifest.checksum);
    const destination = new Uint8Array(manifest.weight_bytes);
    await loadWeights(flaky, manifest, destination);
    expect(Buffer.compare(destination, image)).toBe(0);
    expect(await loadBlob(flaky, manifest.tokenizer!)).toEqual(SAMPLE_TOKENIZER);
    expect([...opened.values()].every((count) => count === 2)).toBe(true);
  },
);

test("a manifest that is replaced while it is read is read again, whole", async () => {
  const other = await samplePack({ manifest: { ...SAMPLE_FIELDS, name: "another" } });
  let reads = 0;
  const switching: SourceFolder = {
    name: "switching",
    async open(name, signal) {
      const source = await (reads === 0 ? folder : other.folder).open(name, signal);
      // As sources of storage say it, which tell versions apart.
      const changed = new PronkError("source_failed", `${name}: was changed while it was read`);
      return reads++ === 0 ? { ...source, readInto: () => Promise.reject(changed) } : source;
    },
  };
  expect((await readManifest(switching)).name).toBe("another");
});

test("a manifest that stays wrong is asked for twice, and the message says so", async () => {
  let opened = 0;
  const broken = (await samplePack()).folder;
  broken.objects.set(MANIFEST_NAME, new TextEncoder().encode("<!doctype html>"));
  const counting: SourceFolder = {
    name: "counting",
    async open(name) {
      opened++;
      return broken.open(name);
    },
  };
  await expect(readManifest(counting)).rejects.toMatchObject({
    code: "bad_format",
    message: expect.stringMatching(/manifest\.json: .*, also when fetched again$/),
  });
  expect(opened).toBe(2);
});
