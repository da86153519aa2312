import { expect, test } from "vitest";
import { readManifest } from "../../../src/pack/loader.ts";
import type { Manifest } from "../../../src/pack/manifest.ts";
import { packRelease, releaseName } from "../../../src/pack/release.ts";
import { retryingFolder } from "../../../src/sources/retrying.ts";
import { SAMPLE_FIELDS, samplePack } from "./sample-pack.ts";

test("a reader of a release keeps its pack when manifest.json becomes another's", async () => {
  const { folder, manifest } = await samplePack();
  folder.objects.set(releaseName(manifest.checksum!), folder.objects.get("manifest.json")!);
  const fields = { ...SAMPLE_FIELDS, name: "another" };
  await samplePack({ target: folder, manifest: fields });
  expect((await readManifest(packRelease(folder, manifest.checksum))).name).toBe("sample-1m");
  expect((await readManifest(packRelease(folder, undefined))).name).toBe("another");
});

test("a release that is another pack than its name says is refused, however well it is made", async () => {
  const { folder, manifest } = await samplePack();
  const other = await samplePack({ manifest: { ...SAMPLE_FIELDS, name: "another" } });
  const name = releaseName(manifest.checksum!);
  folder.objects.set(name, other.folder.objects.get("manifest.json")!);
  const release = retryingFolder(packRelease(folder, manifest.checksum));
  await expect(readManifest(release)).rejects.toMatchObject({
    code: "corrupt",
    message: expect.stringContaining(
      `its content has the checksum ${other.manifest.checksum}, also when fetched again`,
    ),
  });
  // One that was written by hand states no checksum: its content has one.
  const bare = ({ checksum: _, ...rest }: Manifest): Uint8Array =>
    new TextEncoder().encode(JSON.stringify(rest));
  folder.objects.set(name, bare(other.manifest));
  await expect(readManifest(release)).rejects.toMatchObject({ code: "corrupt" });
  folder.objects.set(name, bare(manifest));
  expect((await readManifest(release)).name).toBe("sample-1m");
});
