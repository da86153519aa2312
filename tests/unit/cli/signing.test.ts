/** Keys, signed packs and who loads them, by the commands. */
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { uploadPack } from "../../../src/cli/deploy/upload.ts";
import { signedPack } from "../../../src/pack/checked-folder.ts";
import { readManifest } from "../../../src/pack/loader.ts";
import { packRelease } from "../../../src/pack/release.ts";
import { boundPack } from "../../../src/platform/cloudflare/bound-pack.ts";
import {
  createEngine,
  generateSigningKeys,
  openDirectory,
} from "../../../src/platform/node/index.ts";
import { samplePack } from "../pack/sample-pack.ts";
import { memoryBucket } from "./deploy/memory-bucket.ts";
import { pronk } from "./fake-cli.ts";

const tiny = fileURLToPath(new URL("../../goldens/tokenizers/tok_bpe.gguf", import.meta.url));
const { publicKey: stranger } = await generateSigningKeys();

let folder: string;
let key: string;
let publicKey: string;
let signed: string;
let unsigned: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-signing-"));
  [key, signed, unsigned] = ["key.pem", "signed", "unsigned"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  publicKey = (await pronk(["keygen", "--out", key])).out.trim();
  expect((await pronk(["pack", tiny, "--out", signed, "--sign", key])).out).toContain(publicKey);
  expect((await pronk(["pack", tiny, "--out", unsigned])).code).toBe(0);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test("a private key is its owner's to read, never written over, and shown nowhere", async () => {
  expect((await stat(key)).mode & 0o777).toBe(0o600);
  const before = await readFile(key, "utf8");
  const { code, out, err } = await pronk(["keygen", "--out", key]);
  expect([code, await readFile(key, "utf8")]).toEqual([1, before]);
  expect(out + err).not.toContain("PRIVATE");
  const other = join(folder, "other.pem");
  const made = await pronk(["keygen", "--out", other]);
  expect(made.out).toMatch(/^ed25519:[\w-]{43}\n$/);
  expect(made.out + made.err).not.toContain((await readFile(other, "utf8")).slice(40, 70));
});

describe("with a public key", () => {
  const plan = (model: string, more: readonly string[], env: Record<string, string> = {}) =>
    pronk(["inspect", model, "--json", ...more], { env });

  test("a pack that it signed is loaded, by option and by variable", async () => {
    expect((await plan(signed, ["--public-key", publicKey])).code).toBe(0);
    expect((await plan(signed, ["--public-key", `${stranger},${publicKey}`])).code).toBe(0);
    expect((await plan(signed, [], { PRONK_PUBLIC_KEY: publicKey })).code).toBe(0);
  });

  test.each([
    ["a pack that nobody signed", () => unsigned, () => publicKey, "is not signed"],
    ["a pack that somebody else signed", () => signed, () => stranger, "which is not trusted"],
    ["a model that is no pack", () => tiny, () => publicKey, "only packs are signed"],
    ["a model of the hub", () => "hf:a/b", () => publicKey, "only packs are signed"],
    ["a known model", () => "smollm2-135m-instruct", () => publicKey, "only packs are signed"],
    ["a key that is none", () => signed, () => "", "publicKey"],
  ])("%s is refused", async (_, model, trusted, why) => {
    for (const { code, out, err } of [
      await plan(model(), ["--public-key", trusted()]),
      await plan(model(), [], { PRONK_PUBLIC_KEY: trusted() }),
    ]) {
      expect([code, out]).toEqual([1, ""]);
      expect(err).toContain(why);
    }
  });

  test("the library loads it, and refuses the other", async () => {
    await loads(await createEngine(signed, { publicKey, ctx: 64 }));
    await loads(await createEngine({ pack: openDirectory(signed) }, { publicKey, ctx: 64 }));
    const pack = openDirectory(unsigned);
    await expect(createEngine({ pack }, { publicKey })).rejects.toThrow("is not signed");
    await expect(createEngine(tiny, { publicKey })).rejects.toThrow("only packs are signed");
  });

  async function loads(engine: Awaited<ReturnType<typeof createEngine>>): Promise<void> {
    expect(engine.info.vocab).toBeGreaterThan(0);
    await engine.dispose();
  }
});

test("a file that is no key is not repeated", async () => {
  const wrong = join(folder, "wrong.pem");
  await writeFile(
    wrong,
    "-----BEGIN PRIVATE KEY-----\nCANARYCANARYCANARY\n-----END PRIVATE KEY-----\n",
  );
  const { code, err } = await pronk(["pack", tiny, "--out", join(folder, "x"), "--sign", wrong]);
  expect(code).toBe(1);
  expect(err).toContain("signing key");
  expect(err).not.toContain("CANARY");
});

describe("in a bucket", () => {
  const { signal } = new AbortController();

  test("a signature that came later reaches manifest.json and the release, as no release of its own", async () => {
    const { privateKey, publicKey } = await generateSigningKeys();
    const bucket = memoryBucket();
    await uploadPack((await samplePack()).folder, bucket, { signal });
    const { folder, manifest } = await samplePack({ signingKey: privateKey });
    const found = await uploadPack(folder, bucket, { signal });
    expect(found).toMatchObject({ sent: 0, switched: false });
    for (const release of [undefined, manifest.checksum]) {
      const pack = signedPack(packRelease(bucket.folder, release), publicKey);
      expect((await readManifest(pack)).signature).toEqual(manifest.signature);
    }
    bucket.written.length = 0;
    await uploadPack(folder, bucket, { signal });
    expect(bucket.written.filter((name) => !name.startsWith("releases/"))).toEqual([]);
  });

  test("a Worker to which a key is bound reads nothing else", async () => {
    const { privateKey, publicKey } = await generateSigningKeys();
    const { folder: whole } = await samplePack({ signingKey: privateKey });
    const { folder: other } = await samplePack();
    const bound = (folder: typeof whole, env: object) => readManifest(boundPack(() => folder, env));
    expect((await bound(whole, { PRONK_PUBLIC_KEY: publicKey })).name).toBe("sample-1m");
    expect((await bound(other, {})).name).toBe("sample-1m");
    await expect(bound(other, { PRONK_PUBLIC_KEY: publicKey })).rejects.toThrow("is not signed");
    expect(() => boundPack(() => other, { PRONK_PUBLIC_KEY: "" })).toThrow("publicKey");
  });
});
