/** Who made a pack, and that it is what they made. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signedPack } from "../../../src/pack/checked-folder.ts";
import { copyPack } from "../../../src/pack/copy-pack.ts";
import { loadWeights, readManifest } from "../../../src/pack/loader.ts";
import type { Manifest } from "../../../src/pack/manifest.ts";
import { manifestChecksum } from "../../../src/pack/manifest-check.ts";
import { packRelease, releaseName } from "../../../src/pack/release.ts";
import { objectName } from "../../../src/pack/shards.ts";
import { generateSigningKeys, publicKeyOf, signManifest } from "../../../src/pack/signature.ts";
import type { SourceFolder } from "../../../src/sources/source.ts";
import { type MemoryFolder, memoryFolder } from "./memory-folder.ts";
import { SAMPLE_FIELDS, samplePack } from "./sample-pack.ts";

const MANIFEST = "manifest.json";
const read = (folder: MemoryFolder): Manifest =>
  JSON.parse(new TextDecoder().decode(folder.objects.get(MANIFEST)!));
const write = (folder: MemoryFolder, manifest: unknown): void =>
  void folder.objects.set(MANIFEST, new TextEncoder().encode(JSON.stringify(manifest)));

/** What was opened of a folder, in order. */
function watched(folder: SourceFolder): { folder: SourceFolder; opened: string[] } {
  const opened: string[] = [];
  const open: SourceFolder["open"] = (name, signal, size) => {
    opened.push(name);
    return folder.open(name, signal, size);
  };
  return { folder: { name: folder.name, open }, opened };
}

const keys = await generateSigningKeys();
const others = await generateSigningKeys();
const signed = async () => samplePack({ signingKey: keys.privateKey });

test("what its owner signed is loaded, every byte of it", async () => {
  const { folder, manifest } = await signed();
  expect(manifest.signature?.public_key).toBe(keys.publicKey);
  const pack = signedPack(folder, keys.publicKey);
  const found = await readManifest(pack);
  expect(found).toEqual(manifest);
  const image = new Uint8Array(manifest.weight_bytes);
  await loadWeights(pack, found, image);
  const plain = new Uint8Array(manifest.weight_bytes);
  await loadWeights(folder, await readManifest(folder), plain);
  expect(image).toEqual(plain);
});

test("a signature changes nothing that names the pack, and survives a copy", async () => {
  const { manifest: unsigned } = await samplePack();
  const { folder, manifest } = await signed();
  expect(manifest.checksum).toBe(unsigned.checksum);
  const copy = memoryFolder("copy");
  await copyPack(folder, copy);
  expect((await readManifest(signedPack(copy, keys.publicKey))).signature).toEqual(
    manifest.signature,
  );
});

describe("nothing but the manifest is read of a pack", () => {
  /** What a manifest may have become on its way, all with the checksum put right. */
  const changes: Readonly<Record<string, (m: Manifest) => unknown>> = {
    "that nobody signed": ({ signature: _, ...rest }) => rest,
    "whose template was changed": (m) => ({ ...m, chat_template: "{{ 'obey' }}" }),
    "whose name was changed": (m) => ({ ...m, name: "another" }),
    "with a shard in place of another": (m) => ({ ...m, shards: [...m.shards].reverse() }),
    "with a field that nobody knows": (m) => ({ ...m, extra: 1 }),
    "whose fields come in another order": ({ name, ...rest }) => ({ ...rest, name }),
    "with a signature of nothing": (m) => ({
      ...m,
      signature: { ...m.signature, value: "A".repeat(86) },
    }),
  };
  test.each(Object.entries(changes))("%s", async (_, change) => {
    const { folder } = await signed();
    const changed = change(read(folder)) as Manifest;
    write(folder, { ...changed, checksum: await manifestChecksum(changed) });
    // Without a key it is a pack like others, as far as it is one.
    await readManifest(folder);
    const { folder: seen, opened } = watched(folder);
    await expect(readManifest(signedPack(seen, keys.publicKey))).rejects.toMatchObject({
      code: "corrupt",
      message: expect.stringMatching(/is not signed|not of this content/),
    });
    // A second time, since it may have been damaged on the way.
    expect(opened).toEqual([MANIFEST, MANIFEST]);
  });

  test("that somebody else signed, under their name or the owner's", async () => {
    const { folder, manifest } = await samplePack({ signingKey: others.privateKey });
    const pack = signedPack(folder, keys.publicKey);
    await expect(readManifest(pack)).rejects.toThrow("which is not trusted");
    write(folder, {
      ...manifest,
      signature: { ...manifest.signature, public_key: keys.publicKey },
    });
    await expect(readManifest(pack)).rejects.toThrow("not of this content");
  });

  test("whose signature is of another pack by the same owner", async () => {
    const { manifest: other } = await samplePack({
      signingKey: keys.privateKey,
      manifest: { ...SAMPLE_FIELDS, name: "other" },
    });
    const { folder, manifest } = await signed();
    write(folder, { ...manifest, signature: other.signature });
    await expect(readManifest(signedPack(folder, keys.publicKey))).rejects.toThrow("not of this");
  });
});

test("nothing is read that the manifest does not name, nor before it", async () => {
  const { folder, manifest } = await signed();
  folder.objects.set("system.snapshot", new Uint8Array(8));
  const shard = objectName(manifest.shards[0]!);
  const pack = signedPack(folder, keys.publicKey);
  await expect(pack.open(shard)).rejects.toThrow("not in the manifest that was signed");
  await readManifest(pack);
  expect((await pack.open(shard)).size).toBe(manifest.shards[0]!.bytes);
  for (const name of ["system.snapshot", "../x", `x/${shard}`]) {
    await expect(pack.open(name)).rejects.toMatchObject({ code: "not_found" });
  }
});

test("readers get the bytes that were checked, whatever storage gives the next time", async () => {
  const { folder } = await signed();
  let opens = 0;
  const swapping: SourceFolder = {
    name: "swapping",
    async open(name, signal, size) {
      if (name === MANIFEST && opens++ > 0) write(folder, { ...read(folder), name: "swapped" });
      return folder.open(name, signal, size);
    },
  };
  const pack = signedPack(swapping, keys.publicKey);
  expect((await readManifest(pack)).name).toBe("sample-1m");
  await expect(readManifest(pack)).rejects.toMatchObject({ code: "corrupt" });
});

test("several keys may be trusted, so that one can follow another", async () => {
  const { folder } = await signed();
  const both = [others.publicKey, keys.publicKey];
  expect((await readManifest(signedPack(folder, both))).name).toBe("sample-1m");
});

test.each<[string, string | string[]]>([
  ["none", []],
  ["an empty one", ""],
  ["a private one", keys.privateKey],
  ["half of one", keys.publicKey.slice(0, 30)],
  [
    "an RSA key's beginning",
    "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----",
  ],
])("a setting that holds no public key opens nothing: %s", async (_, key) => {
  const { folder } = await signed();
  expect(() => signedPack(folder, key)).toThrow(/publicKey/);
});

test("what is wrong with a private key is said without any of it", async () => {
  const broken = keys.privateKey.replace(/\n(.{20})/, "\nAAAA$1");
  const error = await publicKeyOf(broken).catch((cause: Error) => cause);
  expect(String((error as Error).stack)).not.toContain(keys.privateKey.slice(40, 70));
  await expect(samplePack({ signingKey: "hunter2-hunter2" })).rejects.toThrow(/^(?!.*hunter2)/);
});

/** RFC 8032, 7.1, TEST 1; and what these keys make of a manifest, for other readers and writers. */
describe("test vectors of docs/pack-format.md", () => {
  const PEM =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpe0wt9M/c4D0rfWCA\n-----END PRIVATE KEY-----\n";
  const document = readFileSync("docs/pack-format.md", "utf8");
  const manifest = { name: "é", version: 1, n: [1e21, 0.1] } as unknown as Manifest;

  test("are reproduced", async () => {
    const { checksum, signature } = await signManifest(manifest, PEM);
    for (const text of [PEM.trim(), checksum!, signature!.public_key, signature!.value]) {
      expect(document).toContain(text);
    }
  });
});

describe("openssl's keys", () => {
  const folder = mkdtempSync(join(tmpdir(), "pronk-keys-"));
  const file = join(folder, "key.pem");
  const openssl = (...args: string[]): string =>
    execFileSync("openssl", args, { encoding: "utf8", timeout: 10_000 });
  beforeAll(() => void openssl("genpkey", "-algorithm", "ed25519", "-out", file));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("sign, and check", async () => {
    const { folder: pack } = await samplePack({ signingKey: readFileSync(file, "utf8") });
    const publicKey = openssl("pkey", "-in", file, "-pubout");
    expect((await readManifest(signedPack(pack, publicKey))).name).toBe("sample-1m");
  });
});

test("a release is pinned by its checksum: what was put in its place is not read", async () => {
  const { folder, manifest } = await samplePack();
  const { objects } = await samplePack({ manifest: { ...SAMPLE_FIELDS, name: "swapped" } }).then(
    ({ folder }) => folder,
  );
  folder.objects.set(releaseName(manifest.checksum!), objects.get(MANIFEST)!);
  await expect(readManifest(packRelease(folder, manifest.checksum))).rejects.toMatchObject({
    code: "corrupt",
    message: expect.stringContaining("its content has the checksum"),
  });
});
