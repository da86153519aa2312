import { expect, test } from "vitest";
import { readManifest } from "../../../src/pack/loader.ts";
import { packRelease, releaseName } from "../../../src/pack/release.ts";
import { SAMPLE_FIELDS, samplePack } from "./sample-pack.ts";

test("a reader of a release keeps its pack when manifest.json becomes another's", async () => {
  const { folder, manifest } = await samplePack();
  folder.objects.set(releaseName(manifest.checksum!), folder.objects.get("manifest.json")!);
  const fields = { ...SAMPLE_FIELDS, name: "another" };
  await samplePack({ target: folder, manifest: fields });
  expect((await readManifest(packRelease(folder, manifest.checksum))).name).toBe("sample-1m");
  expect((await readManifest(packRelease(folder, undefined))).name).toBe("another");
});
