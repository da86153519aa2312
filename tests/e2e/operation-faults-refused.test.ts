/**
 * A disk that says no, at each point of what commands write: full, read-only, not ours, broken, out of files; also as late as
 * when a file is synced or closed. The command says what and where, with 1, and leaves what was there, and nothing else.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import type { HubServer } from "../unit/platform/hub-server.ts";
import { folder, inParallel, leftIn, pointsOf, pronk, seeded } from "./operation-faults.ts";
import { packModel, readWholePack, startModelHub, writeModel } from "./operation-model.ts";

const SEED = Number(process.env.PRONK_FAULTS_SEED ?? 1);
const CASES = Number(process.env.PRONK_FAULTS_CASES ?? 5);
const CODES = ["ENOSPC", "EACCES", "EROFS", "EIO", "EMFILE"] as const;

const base = mkdtempSync(join(tmpdir(), "pronk-refused-"));
let model: string;
let oldPack: string;
let hub: HubServer;

beforeAll(async () => {
  model = await writeModel(base, 1);
  oldPack = packModel(await writeModel(base, 2), join(base, "old-pack"));
  hub = await startModelHub(model);
});
afterAll(async () => {
  rmSync(base, { recursive: true, force: true });
  await hub?.close();
});

const checksumOf = async (path: string): Promise<string | undefined> =>
  (await readWholePack(path)).checksum;

interface Subject {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Throws where what was there is not there any more. */
  readonly kept: () => unknown;
  /** Where a chat goes on and says so, it ends with 0. */
  readonly goesOn?: boolean;
}

const SUBJECTS: Readonly<Record<string, (at: string) => Subject | Promise<Subject>>> = {
  "pack, over an older pack": async (at) => {
    cpSync(oldPack, join(at, "pack"), { recursive: true });
    const before = await checksumOf(oldPack);
    return {
      args: ["pack", model, "--out", join(at, "pack"), "--shard-size", "65536"],
      // The new one may be whole already where the last sync of its folder fails.
      kept: async () => expect([before, newChecksum]).toContain(await checksumOf(join(at, "pack"))),
    };
  },
  "pull, a checkpoint of the hub": (at) => ({
    args: ["pull", "hf:tiny/llama"],
    env: { PRONK_CACHE: at, HF_ENDPOINT: hub.hub.url },
    kept: () => undefined,
  }),
  "snapshot, over an older one": (at) => {
    const file = join(at, "kept.snapshot");
    writeFileSync(join(at, "prompt.txt"), "one two three four five six seven eight");
    writeFileSync(file, "the older one");
    return {
      args: ["snapshot", oldPack, "--prompt", join(at, "prompt.txt"), "--out", file],
      kept: () => expect(readFileSync(file, "latin1").length).toBeGreaterThan(0),
    };
  },
  "convert, to GGUF": (at) => ({
    args: ["convert", model, "--to", "gguf", "--out", join(at, "gguf")],
    kept: () => undefined,
  }),
  "init, a new folder": (at) => ({
    args: ["init", join(at, "project"), "--to", "worker", "--package", "0.1.0"],
    kept: () => undefined,
  }),
  "chat, /save over an older conversation": (at) => {
    const file = join(at, "talk.json");
    writeFileSync(file, JSON.stringify({ chat_history: [{ role: "user", content: "older" }] }));
    return {
      args: ["chat", oldPack],
      env: { XDG_STATE_HOME: join(base, "state") },
      input: `!set max_new_tokens=2\nnewer\n!save ${file}\n!exit\n`,
      kept: () => expect(JSON.parse(readFileSync(file, "utf8")).chat_history).toBeDefined(),
      goesOn: true,
    };
  },
};

let newChecksum: string | undefined;
let refused = 0;
afterAll(() => console.log(`refused ${refused} times, seed ${SEED}`));

describe.each(Object.entries(SUBJECTS))("%s", (name, start) => {
  test("says what the disk refuses, and keeps what was there", async () => {
    const first = folder();
    const subject = await start(first);
    const points = await pointsOf(subject.args, first, subject);
    if (name.startsWith("pack")) newChecksum = await checksumOf(join(first, "pack"));
    const random = seeded(SEED);
    // Folders that cannot be synced, and what cannot be removed in the end, stop nobody.
    const all = points.filter(
      (point) =>
        /^(?:open|write|sync|close|rename|mkdir) /.test(point) &&
        (!point.startsWith("sync") || /(?<!^sync \/project)\.(?:tmp|part)(?: #\d+)?$/.test(point)),
    );
    const cases = Array.from(
      { length: Math.min(CASES, all.length) },
      () => all.splice(random(all.length), 1)[0]!,
    );
    await inParallel(cases, async (point) => {
      const code = CODES[random(CODES.length)]!;
      const place = folder();
      const { args, env, input, kept, goesOn } = await start(place);
      const ended = await pronk(args, {
        faults: { under: place, at: point, do: code },
        env,
        input,
      });
      const where = `${code} at ${point}: ${ended.err} ${ended.out}`;
      expect(ended.signal, where).toBeNull();
      expect(ended.code, where).toBe(goesOn ? 0 : 1);
      expect(goesOn ? ended.out + ended.err : ended.err, where).toContain(code);
      // A stack is for bugs.
      expect(ended.err, where).not.toMatch(/^ {4}at /m);
      await kept();
      // What was downloaded so far is gone on with.
      expect(
        leftIn(place).filter((left) => left.endsWith(".tmp")),
        where,
      ).toEqual([]);
      refused++;
    });
  });
});

/** A mount of its own, gone with the process; undefined where one may not. */
const canMount =
  process.platform === "linux" &&
  spawnSync("unshare", ["-m", "sh", "-c", "mount -t tmpfs none /mnt"], { timeout: 30_000 })
    .status === 0;

/** Runs a command in a mount namespace, in which `at` is a disk of its own. */
function onDisk(
  at: string,
  options: string,
  line: readonly string[],
  before = "true",
): { status: number | null; err: string; left: string[] } {
  const quoted = line.map((word) => `'${word}'`).join(" ");
  const script = `mount -t tmpfs -o size=400k none ${at} && ${before}; ${options}; ${quoted}; code=$?; echo "LEFT:"; find ${at} -type f; exit $code`;
  const { status, stderr, stdout } = spawnSync("unshare", ["-m", "sh", "-c", script], {
    encoding: "utf8",
    timeout: 180_000,
  });
  const left = (stdout.split("LEFT:\n")[1] ?? "").split("\n").filter(Boolean);
  return { status, err: stderr, left };
}

describe.runIf(canMount).each(["node", "deno", "bun"] as const)(
  "on a real disk, on %s",
  (runtime) => {
    const line = (...args: string[]): string[] => {
      const { program, args: first } = commandLineOn(runtime);
      return [program, ...first, ...args];
    };

    test("that is full a pack is refused, and the older one stays", () => {
      const disk = folder();
      const pack = line("pack", model, "--out", join(disk, "pack"), "--shard-size", "65536");
      const older = `cp -r ${oldPack} ${join(disk, "pack")}`;
      const { status, err, left } = onDisk(disk, "true", pack, older);
      expect(status, err).toBe(1);
      expect(err).toMatch(/: ENOSPC: no space left/);
      expect(err).not.toMatch(/^ {4}at /m);
      for (const name of readdirSync(oldPack)) expect(left).toContain(join(disk, "pack", name));
      expect(left.filter((name) => name.endsWith(".tmp"))).toEqual([]);
    });

    test("that may only be read a conversion is refused", () => {
      const disk = folder();
      const convert = line("convert", model, "--to", "gguf", "--out", join(disk, "gguf"));
      const { status, err, left } = onDisk(disk, `mount -o remount,ro ${disk}`, convert);
      expect(status, err).toBe(1);
      expect(err).toMatch(/: EROFS: read-only/i);
      expect(err).not.toMatch(/^ {4}at /m);
      expect(left).toEqual([]);
    });

    test("whose system has no room for a folder there, the command ends at once", () => {
      const [program = "", ...args] = line("pack", model, "--out", "/proc/pronk/pack");
      const { status, stderr } = spawnSync(program, args, { encoding: "utf8", timeout: 60_000 });
      expect(status, stderr).toBe(1);
      expect(stderr).toMatch(/ENOENT|No such file/i);
    });

    test("a folder where a file has to be is said", () => {
      const out = folder();
      mkdirSync(join(out, "manifest.json"));
      const [program = "", ...args] = line("pack", model, "--out", out);
      const { status, stderr } = spawnSync(program, args, { encoding: "utf8", timeout: 60_000 });
      expect(status, stderr).toBe(1);
      expect(stderr).toMatch(/manifest\.json: (?:EISDIR|ENOTEMPTY|EEXIST)/);
      expect(leftIn(out)).toEqual([]);
    });

    test.runIf(existsSync("/dev/full"))("standard output that is full is said", () => {
      const [program = "", ...args] = line(
        "run",
        oldPack,
        "--prompt",
        "hello",
        "--max-tokens",
        "4",
      );
      const quoted = [program, ...args].map((word) => `'${word}'`).join(" ");
      const { status, stderr } = spawnSync("sh", ["-c", `${quoted} > /dev/full`], {
        encoding: "utf8",
        timeout: 60_000,
      });
      expect(status, stderr).toBe(1);
      expect(stderr).toMatch(/standard output: .*(?:ENOSPC|No space left)/);
      expect(stderr).not.toMatch(/^ {4}at /m);
    });
  },
);

const hasStrace = spawnSync("strace", ["-V"], { timeout: 30_000 }).status === 0;

test.runIf(hasStrace).each(["node", "deno", "bun"] as const)(
  "on %s every file of a pack is on disk before it has its name, and its folder before the next",
  (runtime) => {
    const { program, args } = commandLineOn(runtime);
    const out = join(folder(), "pack");
    const log = join(folder(), "strace");
    const calls = "trace=openat,open,fsync,fdatasync,rename,renameat,renameat2,close,mkdir,mkdirat";
    const line = [program, ...args, "pack", model, "--out", out, "--shard-size", "65536"];
    execFileSync("strace", ["-f", "-y", "-o", log, "-e", calls, ...line], {
      timeout: 180_000,
      stdio: "ignore",
    });
    const events: string[] = [];
    for (const text of readFileSync(log, "utf8").split("\n")) {
      const sync = /f(?:data)?sync\(\d+<([^>]*)>/.exec(text)?.[1];
      const renamed = /rename(?:at2?)?\(.*?"([^"]+)".*?"([^"]+)"/.exec(text);
      if (sync?.startsWith(out)) events.push(`sync ${sync}`);
      if (renamed?.[2]?.startsWith(out)) events.push(`rename ${renamed[1]} ${renamed[2]}`);
    }
    const renames = events.filter((event) => event.startsWith("rename "));
    expect(renames).toHaveLength(readdirSync(out).length);
    expect(renames.at(-1)).toContain("manifest.json");
    for (const event of renames) {
      const at = events.indexOf(event);
      expect(events[at - 1], event).toBe(`sync ${event.split(" ")[1]}`);
      expect(events[at + 1], event).toBe(`sync ${out}`);
    }
  },
);
