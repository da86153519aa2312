/** Several processes in one folder, deployments that are killed, signals at any moment, a server that is killed or whose clock jumps. */
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { s3PackFolder } from "../../src/platform/host/s3-model.ts";
import type { SourceFolder } from "../../src/sources/source.ts";
import type { HubServer } from "../unit/platform/hub-server.ts";
import { startServer } from "./child-server.ts";
import { folder, inParallel, leftIn, pointsOf, pronk, seeded } from "./operation-faults.ts";
import { MAIN, packModel, readWholePack, startModelHub, writeModel } from "./operation-model.ts";
import { type S3Server, startS3Server } from "./s3-server.ts";

const SEED = Number(process.env.PRONK_FAULTS_SEED ?? 1);
const CASES = Number(process.env.PRONK_FAULTS_CASES ?? 4);
const HOUR_MS = 3600_000;

const base = mkdtempSync(join(tmpdir(), "pronk-shared-"));
let model: string;
let other: string;
let onePack: string;
let twoPack: string;
let hub: HubServer;

beforeAll(async () => {
  model = await writeModel(base, 1);
  other = await writeModel(base, 2);
  onePack = packModel(model, join(base, "one"));
  twoPack = packModel(other, join(base, "two"));
  hub = await startModelHub(model);
});
afterAll(async () => {
  rmSync(base, { recursive: true, force: true });
  await hub?.close();
});

const wholeName = async (pack: string | SourceFolder): Promise<string> =>
  (await readWholePack(pack)).name;

describe("five processes at once", () => {
  test("pack into one folder: all succeed, whoever reads meanwhile finds a whole pack or none", async () => {
    const place = folder();
    const out = join(place, "pack");
    let isOver = false;
    const packing = Promise.all(
      [model, other, model, other, model].map((input) =>
        pronk(["pack", input, "--out", out, "--shard-size", "16384"]),
      ),
    ).finally(() => {
      isOver = true;
    });
    let read = 0;
    while (!isOver) {
      if (existsSync(join(out, "manifest.json"))) {
        expect(await wholeName(out)).toMatch(/^model-/);
        read++;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const { code, err } of await packing) expect(code, err).toBe(0);
    expect(read).toBeGreaterThan(0);
    await wholeName(out);
    expect(leftIn(place)).toEqual([]);
  });

  test("pull into one cache, one of them killed: the others succeed, and nothing is left", async () => {
    const cache = folder();
    const env = { PRONK_CACHE: cache, HF_ENDPOINT: hub.hub.url };
    const pull = ["pull", "hf:tiny/llama"];
    const killed = pronk(pull, { env, faults: { under: cache, at: 12, do: "kill-before" } });
    // The others would leave it nothing to do. A process may take long to begin.
    const begun = (): number => readdirSync(cache, { recursive: true }).length;
    await expect.poll(begun, { timeout: 20_000 }).toBeGreaterThan(0);
    const others = await Promise.all(Array.from({ length: 4 }, () => pronk(pull, { env })));
    expect((await killed).signal).toBe("SIGKILL");
    for (const { code, err } of others) expect(code, err).toBe(0);
    const last = await pronk(pull, { env });
    expect(last.code, last.err).toBe(0);
    const offline = await pronk(
      ["run", "hf:tiny/llama", "--prompt", "hello", "--max-tokens", "2"],
      {
        env: { ...env, HF_HUB_OFFLINE: "1" },
      },
    );
    expect(offline.code, offline.err).toBe(0);
    expect(leftIn(cache)).toEqual([]);
  });

  test("run from one cache, which makes the pack: all answer the same", async () => {
    const cache = folder();
    const env = { PRONK_CACHE: cache, HF_ENDPOINT: hub.hub.url };
    const run = [
      "run",
      "hf:tiny/llama",
      "--prompt",
      "hello",
      "--max-tokens",
      "4",
      "--temperature",
      "0",
    ];
    const ended = await Promise.all(Array.from({ length: 5 }, () => pronk(run, { env })));
    for (const { code, err } of ended) expect(code, err).toBe(0);
    expect(new Set(ended.map(({ out }) => out)).size).toBe(1);
    expect(leftIn(cache)).toEqual([]);
  });

  test("read a pack that is deleted meanwhile: they answer, or say what has gone", async () => {
    const out = join(folder(), "pack");
    cpSync(onePack, out, { recursive: true });
    const run = ["run", out, "--prompt", "hello", "--max-tokens", "2"];
    const running = Array.from({ length: 5 }, () => pronk(run));
    await new Promise((resolve) => setTimeout(resolve, 250));
    rmSync(out, { recursive: true });
    for (const { code, err } of await Promise.all(running)) {
      // In the middle of it the folder is there, and its manifest gone.
      if (code !== 0) expect(err).toMatch(/^pronk run: .*(no such file|no checkpoint; looked for)/);
      expect(err).not.toMatch(/^ {4}at /m);
    }
  });
});

describe("deploying to a real S3 server", () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  }, 600_000);
  afterAll(() => server?.close());
  const BUCKET = "pronk-faults";
  const deploy = (pack: string, prefix: string): string[] => [
    ...["deploy", pack, "--upload-only", "--endpoint", server.url],
    ...["--bucket", BUCKET, "--prefix", prefix],
  ];
  const current = (prefix: string): Promise<string> =>
    wholeName(
      s3PackFolder(
        `s3://${BUCKET}/${prefix}`,
        { ...server.env, AWS_ENDPOINT_URL: server.url },
        fetch,
      ),
    );

  test("killed at its requests, readers have the older release or the new one, and the next run ends it", async () => {
    const env = server.env;
    expect((await pronk(deploy(onePack, "count"), { env })).code).toBe(0);
    const points = await pointsOf(deploy(twoPack, "count"), server.url, { env });
    const random = seeded(SEED);
    const all = points.flatMap((point, at) =>
      ["kill-before", "kill-after"].map((what) => ({ point, at, do: what })),
    );
    const cases = Array.from({ length: CASES }, () => all.splice(random(all.length), 1)[0]!);
    await inParallel([...cases.entries()], async ([i, { point, at, do: what }]) => {
      const prefix = `case-${i}`;
      const where = `${what} ${at}: ${point}`;
      expect((await pronk(deploy(onePack, prefix), { env })).code, where).toBe(0);
      const faults = { under: server.url, at, do: what };
      expect((await pronk(deploy(twoPack, prefix), { env, faults })).signal, where).toBe("SIGKILL");
      expect(["model-1", "model-2"], where).toContain(await current(prefix));
      const next = await pronk(deploy(twoPack, prefix), { env });
      expect(next.code, `${where}: ${next.err}`).toBe(0);
      expect(await current(prefix), where).toBe("model-2");
      const back = await pronk(["deploy", "--rollback", ...deploy(onePack, prefix).slice(2)], {
        env,
      });
      expect(back.code, `${where}: ${back.err}`).toBe(0);
      expect(await current(prefix), where).toBe("model-1");
    });
  });

  test("by three processes at once: one is current and whole, and the one before all is still known", async () => {
    const env = server.env;
    const third = packModel(other, join(base, "three"), "--quant", "q4");
    expect((await pronk(deploy(onePack, "race"), { env })).code).toBe(0);
    const packs = [twoPack, third, twoPack];
    const ended = await Promise.all(packs.map((pack) => pronk(deploy(pack, "race"), { env })));
    for (const { code, err } of ended) expect(code, err).toBe(0);
    expect(await current("race")).toBe("model-2");
    const list = JSON.parse(
      new TextDecoder().decode(await server.read(BUCKET, "race/releases.json")),
    );
    expect(list[0].name).toBe("model-1");
  });
});

describe.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("%s", (signal) => {
  test("at any moment of packing ends it without a whole-looking pack, or with a whole one", async () => {
    const random = seeded(SEED);
    await inParallel(
      Array.from({ length: 4 }, () => 30 + random(250)),
      async (ms) => {
        const place = folder();
        const out = join(place, "pack");
        const child = spawn(
          process.execPath,
          [MAIN, "pack", model, "--out", out, "--shard-size", "8192"],
          { stdio: ["ignore", "pipe", "pipe"] },
        );
        let err = "";
        child.stderr.setEncoding("utf8").on("data", (text: string) => {
          err += text;
        });
        const ended = new Promise<[number | null, string | null]>((resolve) =>
          child.once("close", (code, by) => resolve([code, by])),
        );
        setTimeout(() => child.kill(signal), ms);
        const [code, by] = await ended;
        // Before the command listens the system ends it.
        if (by === null) expect([0, 1, 130], err).toContain(code);
        else expect(by).toBe(signal);
        expect(err).not.toMatch(/^ {4}at /m);
        if (existsSync(join(out, "manifest.json"))) await wholeName(out);
        if (by === null) expect(leftIn(place)).toEqual([]);
      },
      2,
    );
  });

  test("ends a server that loads or serves, with 0, and with it what it listens on", async () => {
    const server = await startServer({ program: process.execPath, args: [MAIN] }, [
      onePack,
      "--no-playground",
    ]);
    onTestFinished(() => server.close());
    const ended = new Promise((resolve) => server.child.once("exit", resolve));
    server.child.kill(signal);
    expect(await ended).toBe(0);
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
  });
});

describe("a server", () => {
  const options = (store: string): string[] => [
    onePack,
    "--no-playground",
    "--responses",
    store,
    "--drain",
    "0",
  ];
  const ask = (url: string, body: object): Promise<Response> =>
    fetch(`${url}/v1/responses`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "model-1",
        input: "hello",
        max_output_tokens: 16,
        temperature: 0,
        ...body,
      }),
      signal: AbortSignal.timeout(90_000),
    });
  const PRELOAD = pathToFileURL(join(packageRoot(), "tests", "e2e", "fault-preload.mjs")).href;
  const CLOCK = pathToFileURL(join(packageRoot(), "tests", "e2e", "clock-preload.mjs")).href;

  test.each([
    ["kill-before", "open"],
    ["tear", "write"],
    ["kill-before", "sync"],
    ["kill-before", "utimes"],
    ["kill-before", "rename"],
    ["kill-after", "rename"],
  ])(
    "that is killed while it keeps a response (%s %s) has the older ones when it is back",
    async (what, operation) => {
      const place = folder();
      const store = join(place, "responses");
      const first = await startServer({ program: process.execPath, args: [MAIN] }, options(store));
      const older = (await (await ask(first.url, {})).json()) as { id: string; output: unknown };
      await first.close();
      // Of one response that is put: the folder is there, so its points are these.
      const at = ["open", "write", "sync", "utimes", "rename"].indexOf(operation);
      const faults = JSON.stringify({ under: store, at, do: what });
      const second = await startServer(
        { program: process.execPath, args: ["--import", PRELOAD, MAIN] },
        options(store),
        { FAULTS: faults },
      );
      const ended = new Promise((resolve) => second.child.once("exit", (_, by) => resolve(by)));
      await ask(second.url, {})
        .then((answer) => answer.text())
        .catch(() => undefined);
      expect(await ended).toBe("SIGKILL");

      const third = await startServer({ program: process.execPath, args: [MAIN] }, options(store));
      onTestFinished(() => third.close());
      const found = await fetch(`${third.url}/v1/responses/${older.id}`);
      expect(found.status).toBe(200);
      expect(await found.json()).toMatchObject({ id: older.id, output: older.output });
      const next = await ask(third.url, { previous_response_id: older.id });
      expect(next.status).toBe(200);
      for (const name of readdirSync(store)) JSON.parse(readFileSync(join(store, name), "utf8"));
      expect(leftIn(store)).toEqual([]);
    },
  );

  test.each(["ENOSPC", "EROFS", "EIO"])(
    "whose disk refuses to keep a response (%s) says so, keeps the others and answers on",
    async (code) => {
      const store = join(folder(), "responses");
      const faults = JSON.stringify({ under: store, at: 9, do: code });
      const server = await startServer(
        { program: process.execPath, args: ["--import", PRELOAD, MAIN] },
        options(store),
        { FAULTS: faults },
      );
      onTestFinished(() => server.close());
      const answers: [number, string][] = [];
      for (let i = 0; i < 4; i++) {
        const answer = await ask(server.url, {});
        answers.push([answer.status, await answer.text()]);
      }
      // The answer is good all the same; it says that nothing can go on from it.
      const kept = answers.map(([status, text]) => {
        expect(status, text).toBe(200);
        expect(text).not.toContain(store);
        return JSON.parse(text) as { id: string; store: boolean };
      });
      expect(kept.filter(({ store }) => !store)).toHaveLength(1);
      for (const { id, store } of kept) {
        const found = await fetch(`${server.url}/v1/responses/${id}`);
        expect(found.status).toBe(store ? 200 : 404);
      }
      expect(server.output()).toContain(code);
      expect(leftIn(store)).toEqual([]);
    },
  );

  test("whose clock jumps by hours, forwards and backwards, answers, counts and remembers as before", async () => {
    const place = folder();
    const clock = join(place, "clock");
    writeFileSync(clock, "0");
    const server = await startServer(
      { program: process.execPath, args: ["--import", CLOCK, MAIN] },
      [...options(join(place, "responses")), "--requests-per-minute", "30"],
      { CLOCK_FILE: clock },
    );
    onTestFinished(() => server.close());
    const ids: string[] = [];
    for (const hours of [0, 6, -6, 48, -48, 0]) {
      writeFileSync(clock, String(hours * HOUR_MS));
      const answer = await ask(server.url, {});
      expect(answer.status, `${hours} hours`).toBe(200);
      const limit = Number(answer.headers.get("x-ratelimit-remaining-requests"));
      expect(limit, `${hours} hours`).toBeGreaterThanOrEqual(0);
      expect(limit, `${hours} hours`).toBeLessThan(30);
      ids.push(((await answer.json()) as { id: string }).id);
      for (const id of ids) {
        const found = await fetch(`${server.url}/v1/responses/${id}`);
        expect(found.status, `${hours} hours: ${id}`).toBe(200);
      }
    }
    // What is refused comes back within a minute, whatever the clock says meanwhile.
    writeFileSync(clock, String(-3 * HOUR_MS));
    let refused: Response | undefined;
    for (let i = 0; i < 80 && refused === undefined; i++) {
      const answer = await ask(server.url, { max_output_tokens: 1, store: false });
      if (answer.status === 429) refused = answer;
    }
    expect(refused?.status).toBe(429);
    expect(Number(refused?.headers.get("retry-after"))).toBeLessThanOrEqual(60);
    writeFileSync(clock, String(-12 * HOUR_MS));
    const still = await ask(server.url, { max_output_tokens: 1, store: false });
    expect(still.status).toBe(429);
    expect(Number(still.headers.get("retry-after"))).toBeLessThanOrEqual(60);
  });
});

test("whoever closes the pipe of a command's output ends it quietly", async () => {
  for (const args of [
    ["run", onePack, "--prompt", "hello", "--max-tokens", "200", "--ignore-eos"],
    ["inspect", onePack],
    ["help"],
  ]) {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.destroy();
    let err = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect([0, 1, 2, 141], `${args[0]}: ${err}`).toContain(code);
    expect(err).not.toMatch(/^ {4}at /m);
  }
});
