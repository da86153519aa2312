/** `pronk deploy` as users run it: real processes, a real S3 server, wrangler and workerd on this machine. */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { objectName } from "../../src/pack/shards.ts";
import { DEFAULT_PACK, MODEL_FILE, SMALL_PACK } from "./environment.ts";
import { manifestOf } from "./faults-pack.ts";
import { type S3Server, startS3Server } from "./s3-server.ts";
import { LLAMA_1B, writeZeroPack } from "./zero-pack.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");

const TINY_MODEL = join(packageRoot(), "tests", "goldens", "tokenizers", "tok_bpe.gguf");

/** Of the Worker's script, gzipped, without the kernels. */
const MAX_WORKER_BYTES = 300_000;

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function pronk(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, "deploy", ...args],
      { env: { ...process.env, ...env }, timeout: 240_000, maxBuffer: 2 ** 26 },
      (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

async function json(args: readonly string[], env?: Record<string, string>) {
  const { code, out, err } = await pronk([...args, "--json"], env);
  expect(code, err).toBe(0);
  return JSON.parse(out);
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "pronk-deploy-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Every way out leads nowhere: what still works needs no network. */
const OFFLINE = {
  HTTPS_PROXY: "http://127.0.0.1:1",
  HTTP_PROXY: "http://127.0.0.1:1",
  https_proxy: "http://127.0.0.1:1",
  http_proxy: "http://127.0.0.1:1",
  HF_HUB_OFFLINE: "1",
};

describe("--dry-run", () => {
  test("plans, packs, writes and bundles SmolLM2, offline, and sends nothing", async () => {
    const out = await folder();
    const { code, out: text, err } = await pronk([MODEL_FILE, "--dry-run", "--out", out], OFFLINE);
    expect(code, err).toBe(0);
    const lines = text.split("\n");
    expect(lines[0]).toMatch(/^needs +Workers Paid .* free plan's 10 ms of CPU .* cannot run/);
    expect(text).toMatch(
      /fits +one isolate: 10\d\.\d of 108\.0 MB.*\n +\(weights 91\.8, cache 1\d\.\d/,
    );
    expect(text).toMatch(/pack +6 shards, 93\.9 MB, release [0-9a-f]{12}/);
    expect(text).toMatch(/1,000 tokens of answer +[\d,]+ ms of CPU, \$0\.00/);
    expect(text).toMatch(/CPU measured here, on node .* with the \w+ kernels/);
    expect(text).toMatch(/bundle .* KB gzipped, and \d+ KB of kernels/);
    expect(text).toContain("dry run  nothing was sent");
    const files = (await readdir(out)).filter((name) => !name.startsWith("."));
    expect(files.sort()).toEqual(["bundle", "pack", "worker.js", "wrangler.json"]);
    const config = JSON.parse(await readFile(join(out, "wrangler.json"), "utf8"));
    const manifest = await manifestOf(join(out, "pack"));
    expect(config).toMatchObject({
      name: "smollm2-135m-instruct",
      vars: { PACK: "smollm2-135m-instruct", RELEASE: manifest.checksum },
      limits: { cpu_ms: 300_000 },
      compatibility_flags: ["enable_request_signal"],
    });
    const page = await readdir(join(out, config.assets.directory));
    expect(page.sort()).toEqual(["_headers", "index.html", "playground"]);
  });

  test("--json says the same for programs, and the bundle is small", async () => {
    const out = await folder();
    const args = [SMALL_PACK, "--dry-run", "--no-measure", "--out", out];
    const { plan, bundles, dry_run } = await json(args, OFFLINE);
    expect(dry_run).toBe(true);
    expect(plan).toMatchObject({ topology: "isolate", ctx: 1024, form: { profile: "small" } });
    expect(plan.scripts[0].memory.total).toBeLessThanOrEqual(plan.scripts[0].budget);
    expect(plan.cost.per1000OutputTokens).toBeGreaterThan(0);
    expect(bundles.length).toBe(1);
    expect(bundles[0].gzipBytes).toBeLessThan(MAX_WORKER_BYTES);
    console.log(`deployed bundle: ${bundles[0].gzipBytes} bytes gzipped`);
  });
});

test("a model that is larger than an isolate is planned as stages", async () => {
  const out = await folder();
  const pack = join(out, "pack");
  await writeZeroPack(pack, "llama-3.2-1b", LLAMA_1B, SMALL_PACK);
  const args = [pack, "--dry-run", "--no-measure", "--out", out];
  const { code, out: text, err } = await pronk(args, OFFLINE);
  expect(code, err).toBe(0);
  expect(text).toMatch(/^needs +Workers Paid/);
  expect(text).toMatch(
    /fits +11 isolates, a stage of the model in each: at most 10\d\.\d of 108\.0 MB/,
  );
  expect(text).toMatch(/ 1\. llama-3-2-1b-stage-1 .* tokens 0 to/);
  expect(text).toMatch(/11\. llama-3-2-1b-stage-11 .* layers 15 to 16/);
  expect(text).toMatch(/12\. llama-3-2-1b .* routes and tokenizer/);
  expect(text).toMatch(/pack +62 shards, 841\.5 MB/);
  expect(text).toMatch(
    /bundle +llama-3-2-1b-stage-1 to llama-3-2-1b-stage-11, each: \d\d KB gzipped/,
  );
  expect(text).toMatch(/bundle +llama-3-2-1b: 1\d\d KB gzipped\n/);
});

describe("uploading to a real S3 server", () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  }, 600_000);
  afterAll(() => server?.close());

  const BUCKET = "pronk-test";
  const upload = (prefix: string, url: string): string[] => [
    SMALL_PACK,
    "--upload-only",
    ...["--endpoint", url, "--bucket", BUCKET, "--prefix", prefix],
  ];

  test("a killed upload goes on where it ended, and a third run sends nothing", async () => {
    const { shards, tokenizer, checksum } = await manifestOf(SMALL_PACK);
    const objects = [...shards, tokenizer!].map(objectName);
    const shardBytes = shards.reduce((sum, { bytes }) => sum + bytes, 0);
    // The line dies, and the process with it: after more than the four that are on their way at a time, or none might be whole.
    const line = await deadLine(server.url, shardBytes * 0.8);
    onTestFinished(() => void line.server.close());
    const child = spawn(process.execPath, [main, "deploy", ...upload("killed", line.url)], {
      env: { ...process.env, ...server.env },
      stdio: "ignore",
    });
    await line.dead;
    // What had arrived whole is stored.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await killed(child);
    const before = await server.list(BUCKET, "killed/");
    const there = objects.filter((name) => before.has(`killed/${name}`));
    expect(there.length).toBeGreaterThan(0);
    expect(there.length).toBeLessThan(objects.length);
    // No reader finds half a pack.
    expect(before.has("killed/manifest.json")).toBe(false);

    const puts = server.log().length;
    const second = await json(upload("killed", server.url), server.env);
    expect(second.upload).toMatchObject({
      release: checksum,
      objects: objects.length,
      sent: objects.length - there.length,
      switched: true,
    });
    if (server.kind === "versitygw") {
      const sent = server
        .log()
        .slice(puts)
        .flatMap((entry) => /\| PUT \| \S*\/([0-9a-f]{64}\.bin)/.exec(entry)?.[1] ?? []);
      // A try that failed is in the log, too.
      expect([...new Set(sent)].sort()).toEqual(
        objects.filter((name) => !there.includes(name)).sort(),
      );
    }
    const after = await server.list(BUCKET, "killed/");
    for (const name of there) {
      expect(after.get(`killed/${name}`)).toBe(before.get(`killed/${name}`));
    }

    const third = await json(upload("killed", server.url), server.env);
    expect(third.upload).toMatchObject({ sent: 0, sentBytes: 0, switched: false });
    expect(await server.list(BUCKET, "killed/")).toEqual(after);
  });

  test("another pack takes over, and --rollback brings the first one back", async () => {
    const args = ["--prefix", "back", "--endpoint", server.url, "--bucket", BUCKET];
    const current = async (): Promise<string> =>
      JSON.parse(new TextDecoder().decode(await server.read(BUCKET, "back/manifest.json")))
        .checksum;
    const [small, other] = await Promise.all([manifestOf(SMALL_PACK), manifestOf(DEFAULT_PACK)]);
    await json(upload("back", server.url), server.env);
    expect(await current()).toBe(small.checksum);
    await json([DEFAULT_PACK, "--upload-only", ...args], server.env);
    expect(await current()).toBe(other.checksum);
    const { rollback } = await json(["--rollback", "--upload-only", ...args], server.env);
    expect(rollback).toEqual({ from: other.checksum, to: small.checksum });
    expect(await current()).toBe(small.checksum);
    const again = await pronk(["--rollback", "--upload-only", ...args], server.env);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining("is the first release")]);
  });

  test("old releases go with what only they have, but not in a dry run, and not what --rollback needs", async () => {
    const out = await folder();
    const args = ["--prefix", "old", "--endpoint", server.url, "--bucket", BUCKET, "--upload-only"];
    const packs: string[] = [];
    for (const [i, size] of ["8KiB", "16KiB", "32KiB", "64KiB"].entries()) {
      const pack = join(out, `pack-${i}`);
      const packed = ["pack", TINY_MODEL, "--out", pack, "--shard-size", size];
      execFileSync(process.execPath, [main, ...packed], { timeout: 180_000, stdio: "ignore" });
      packs.push(pack);
    }
    const manifests = await Promise.all(packs.map(manifestOf));
    const keysOf = (which: readonly number[]): string[] => {
      const keys = new Set(["old/manifest.json", "old/releases.json"]);
      for (const i of which) {
        const { shards, tokenizer, checksum } = manifests[i];
        keys.add(`old/releases/${checksum}.json`);
        for (const object of [...shards, tokenizer!]) keys.add(`old/${objectName(object)}`);
      }
      return [...keys].sort();
    };
    const there = async (): Promise<string[]> =>
      [...(await server.list(BUCKET, "old/")).keys()].sort();
    for (const pack of packs.slice(0, 3)) {
      expect((await json([pack, ...args], server.env)).prune).toBeUndefined();
    }
    expect(await there()).toEqual(keysOf([0, 1, 2]));
    const { prune: planned } = await json([packs[3], ...args, "--dry-run"], server.env);
    expect(planned).toMatchObject({ releases: [manifests[0].checksum] });
    expect(planned.objects).toBeGreaterThan(0);
    expect(await there()).toEqual(keysOf([0, 1, 2]));
    const dry = await pronk([packs[3], ...args, "--dry-run"], server.env);
    expect(dry.out).toMatch(/prune +release [0-9a-f]{12} would be deleted: \d+ objects, \d\.\d MB/);

    expect((await json([packs[3], ...args], server.env)).prune).toEqual(planned);
    expect(await there()).toEqual(keysOf([1, 2, 3]));
    const kept = await json([packs[3], ...args, "--keep", "2"], server.env);
    expect(kept.prune.releases).toEqual([manifests[1].checksum]);
    expect(await there()).toEqual(keysOf([2, 3]));
    const { rollback } = await json(["--rollback", ...args], server.env);
    expect(rollback.to).toBe(manifests[2].checksum);
    const refused = await pronk([packs[3], ...args, "--keep", "1"], server.env);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("--keep 1")]);
  });

  test("a wrong key is said in the server's words, with what to check", async ({ skip }) => {
    if (server.kind !== "versitygw") skip(`${server.kind} checks no signatures`);
    const env = { ...server.env, AWS_SECRET_ACCESS_KEY: "wrong" };
    const { code, err } = await pronk(upload("wrong", server.url), env);
    expect(code).toBe(1);
    expect(err).toMatch(/SignatureDoesNotMatch.*check AWS_ACCESS_KEY_ID/);
  });
});

async function killed(child: ChildProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await ended;
}

interface DeadLine {
  readonly server: Server;
  readonly url: string;
  /** When as many bytes have gone through as it lets. */
  readonly dead: Promise<void>;
}

/** A line to a server that carries so many bytes of all connections together, and then none. */
function deadLine(to: string, bytes: number): Promise<DeadLine> {
  const { hostname, port } = new URL(to);
  let left = bytes;
  let die: () => void;
  const dead = new Promise<void>((resolve) => {
    die = resolve;
  });
  const server = createServer((client) => {
    const target = connect(Number(port), hostname);
    client.on("data", (chunk) => {
      left -= chunk.length;
      if (left > 0) target.write(chunk);
      else die();
    });
    target.on("data", (chunk) => void (left > 0 && client.write(chunk)));
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ]) {
      socket.on("error", () => other.destroy());
      socket.on("close", () => other.destroy());
    }
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const at = typeof address === "object" && address ? address.port : 0;
      resolve({ server, url: `http://127.0.0.1:${at}`, dead });
    });
  });
}
