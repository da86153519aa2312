/**
 * kill -9 at the points of the write path of every command that writes, also in mid-write: what is there can be read and is
 * whole, the older version where the new one is not done; the next run comes to the same end and leaves nothing beside it.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readGguf } from "../../src/formats/gguf/read-gguf.ts";
import { memorySource } from "../../src/sources/memory.ts";
import type { HubServer } from "../unit/platform/hub-server.ts";
import { folder, inParallel, leftIn, pointsOf, pronk, seeded } from "./operation-faults.ts";
import { MAIN, packModel, readWholePack, startModelHub, writeModel } from "./operation-model.ts";

/** Another one tries other points of the longer runs, and other moments. */
const SEED = Number(process.env.PRONK_FAULTS_SEED ?? 1);

/** Of a run with more points so many are taken, by the seed. */
const MOST_CASES = Number(process.env.PRONK_FAULTS_CASES ?? 5);

const base = mkdtempSync(join(tmpdir(), "pronk-kill-"));
let model: string;
let other: string;
let oldPack: string;
let hub: HubServer;

beforeAll(async () => {
  model = await writeModel(base, 1);
  other = await writeModel(base, 2);
  oldPack = packModel(other, join(base, "old-pack"));
  hub = await startModelHub(model);
});
afterAll(async () => {
  rmSync(base, { recursive: true, force: true });
  await hub?.close();
});

/** A pack whose every byte is what its manifest says; @returns the manifest's checksum. */
async function wholePack(path: string): Promise<string | undefined> {
  if (!existsSync(join(path, "manifest.json"))) return undefined;
  return (await readWholePack(path)).checksum;
}

interface Subject {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Throws where something that is not whole can be read; @returns what is there. */
  readonly found: () => unknown;
  /** What is there while it is not done; default: nothing. */
  readonly before?: unknown;
  /** Where neither is there for a while: what is found then. */
  readonly between?: unknown;
}

const text = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, "utf8") : undefined;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Each makes what it needs in a folder of its own, in which alone it writes. */
const SUBJECTS: Readonly<Record<string, (at: string) => Subject | Promise<Subject>>> = {
  "pack, into a new folder": (at) => ({
    args: ["pack", model, "--out", join(at, "pack"), "--shard-size", "65536"],
    found: () => wholePack(join(at, "pack")),
  }),
  "pack, over an older pack": async (at) => {
    cpSync(oldPack, join(at, "pack"), { recursive: true });
    return {
      args: ["pack", model, "--out", join(at, "pack"), "--shard-size", "65536"],
      found: () => wholePack(join(at, "pack")),
      before: await wholePack(oldPack),
    };
  },
  "pull, a checkpoint of the hub": (at) => ({
    args: ["pull", "hf:tiny/llama"],
    env: { PRONK_CACHE: at, HF_ENDPOINT: hub.hub.url },
    found() {
      const repo = join(at, "huggingface", "hub", "models--tiny--llama");
      const names = existsSync(repo)
        ? readdirSync(repo, { recursive: true, encoding: "utf8" })
        : [];
      const published = new Set(
        readdirSync(model).map((name) => sha256(readFileSync(join(model, name)))),
      );
      // Whatever has its name has its content, a blob as well as what leads to it.
      const whole = names.filter(
        (name) =>
          !/\.(?:tmp|part)$/.test(name) &&
          existsSync(join(repo, name)) &&
          statSync(join(repo, name)).isFile(),
      );
      for (const name of whole.filter((name) => !name.startsWith("refs"))) {
        expect(published, name).toContain(sha256(readFileSync(join(repo, name))));
      }
      const records = join(at, "references");
      const record =
        existsSync(records) && readdirSync(records).find((name) => name.endsWith(".json"));
      return record ? JSON.parse(text(join(records, record)) ?? "").length : undefined;
    },
  }),
  "init, a new folder": (at) => ({
    args: ["init", join(at, "project"), "--to", "worker", "--package", "0.1.0"],
    found: () =>
      existsSync(join(at, "project"))
        ? readdirSync(join(at, "project"), { recursive: true, encoding: "utf8" }).sort().join()
        : undefined,
  }),
  "init, a folder that is there": (at) => {
    const project = join(at, "project");
    mkdirSync(project);
    writeFileSync(join(project, "notes.txt"), "mine");
    return {
      args: ["init", project, "--to", "worker", "--package", "0.1.0"],
      found() {
        expect(text(join(project, "notes.txt"))).toBe("mine");
        const manifest = text(join(project, "package.json"));
        if (manifest === undefined) return undefined;
        expect(JSON.parse(manifest).dependencies.pronk).toBe("0.1.0");
        return readdirSync(project, { recursive: true, encoding: "utf8" })
          .filter((name) => !name.includes(".tmp"))
          .sort()
          .join();
      },
    };
  },
  "page, over an older page": async (at) => {
    const page = join(at, "page");
    const first = await pronk(["page", other, "--out", page]);
    expect(first.code, first.err).toBe(0);
    const found = async (): Promise<string> => {
      const { models } = JSON.parse(text(join(page, "models.json")) ?? "");
      for (const { folder: place, checksum } of models) {
        expect(await wholePack(join(page, place))).toBe(checksum);
      }
      const index = text(join(page, "index.html")) ?? "";
      for (const [, name] of index.matchAll(/"(playground\/[\w.-]+)"/g)) {
        expect(existsSync(join(page, String(name))), name).toBe(true);
      }
      return models.map(({ id }: { id: string }) => id).join();
    };
    return { args: ["page", model, "--out", page], found, before: await found() };
  },
  "snapshot, over an older one": async (at) => {
    const file = join(at, "kept.snapshot");
    writeFileSync(join(at, "prompt.txt"), "one two three four five six seven eight");
    writeFileSync(file, "the older one");
    return {
      args: ["snapshot", oldPack, "--prompt", join(at, "prompt.txt"), "--out", file],
      found: () => sha256(readFileSync(file)),
      before: sha256(Buffer.from("the older one")),
    };
  },
  "convert, to GGUF": (at) => ({
    args: ["convert", model, "--to", "gguf", "--out", join(at, "gguf")],
    async found() {
      const names = existsSync(join(at, "gguf")) ? readdirSync(join(at, "gguf")) : [];
      const name = names.find((name) => name.endsWith(".gguf"));
      if (name === undefined) return undefined;
      const bytes = new Uint8Array(readFileSync(join(at, "gguf", name)));
      const { tensors } = await readGguf(memorySource(bytes, name));
      return `${tensors.size ?? "all"} ${sha256(bytes)}`;
    },
  }),
  "convert, over an older checkpoint": async (at) => {
    const out = join(at, "hf");
    cpSync(other, out, { recursive: true });
    const found = (): unknown => {
      // Without its configuration it is no checkpoint.
      if (text(join(out, "config.json")) === undefined) return "none";
      const { weight_map } = JSON.parse(text(join(out, "model.safetensors.index.json")) ?? "");
      const shards = [...new Set(Object.values<string>(weight_map))].sort();
      return shards.map((name) => sha256(readFileSync(join(out, name)))).join();
    };
    const args = ["convert", oldPack, "--to", "hf", "--out", out, "--max-shard-size", "200KB"];
    return { args, found, before: found(), between: "none" };
  },
  "chat, /save over an older conversation": (at) => {
    const file = join(at, "talk.json");
    writeFileSync(file, JSON.stringify({ chat_history: [{ role: "user", content: "older" }] }));
    const found = (): unknown =>
      JSON.parse(text(file) ?? "").chat_history.map((m: { content: string }) => m.content)[0];
    return {
      args: ["chat", oldPack],
      env: { XDG_STATE_HOME: join(at, "state") },
      input: `!set max_new_tokens=2\nnewer\n!save ${file}\n!exit\n`,
      found,
      before: "older",
    };
  },
};

let killed = 0;
afterAll(() => console.log(`killed ${killed} times, seed ${SEED}`));

describe.each(Object.entries(SUBJECTS))("%s", (_, start) => {
  test("is whole or as before at every point, and the next run does the rest", async () => {
    const first = folder();
    const subject = await start(first);
    const points = await pointsOf(subject.args, first, subject);
    const done = await subject.found();
    expect(done).not.toEqual(subject.before);
    expect(points.length).toBeGreaterThan(3);

    const random = seeded(SEED);
    const all = points.flatMap((at) => [
      { at, do: "kill-before" },
      ...(at.startsWith("write ") ? [{ at, do: "tear" }] : []),
    ]);
    const cases =
      all.length <= MOST_CASES
        ? all
        : Array.from({ length: MOST_CASES }, () => all.splice(random(all.length), 1)[0]!);
    await inParallel(cases, async ({ at, do: what }) => {
      const place = folder();
      const { args, env, input, found, before, between } = await start(place);
      const faults = { under: place, at, do: what };
      const where = `${what} at ${at}`;
      const ended = await pronk(args, { faults, env, input });
      expect(ended.signal, `${where}: ${ended.err}`).toBe("SIGKILL");
      killed++;
      expect([before, between, done], where).toContainEqual(await found());
      const next = await pronk(args, { env, input });
      // What was finished before the process was killed may be in the way of doing it again.
      if (!/there already/.test(next.err)) expect(next.code, `${where}: ${next.err}`).toBe(0);
      expect(await found(), where).toEqual(done);
      expect(leftIn(place), where).toEqual([]);
    });
  });
});

test("at any moment: packing, three times over what the one before left", async () => {
  const random = seeded(SEED);
  const place = folder();
  const out = join(place, "pack");
  for (let i = 0; i < 6; i++) {
    const child = spawn(
      process.execPath,
      [MAIN, "pack", model, "--out", out, "--shard-size", "16384"],
      { stdio: "ignore" },
    );
    // It may be done before it is killed.
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await new Promise((resolve) => setTimeout(resolve, 60 + random(200)));
    child.kill("SIGKILL");
    await ended;
    killed++;
    await wholePack(out);
  }
  const { code, err } = await pronk(["pack", model, "--out", out, "--shard-size", "16384"]);
  expect(code, err).toBe(0);
  expect(await wholePack(out)).toBeDefined();
  expect(leftIn(place)).toEqual([]);
});
