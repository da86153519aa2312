/** The examples of every command's help, typed as they stand into a shell, beside files of their names. */
import { spawn } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { allCommands } from "../../src/cli/commands.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { knownModel } from "../../src/hub/known-models.ts";
import { MODEL_FILE } from "./environment.ts";

/** A tiny model with a tokenizer: what stands for models here, the default one included, so that lines take no time. */
const TINY = join(packageRoot(), "tests", "goldens", "tokenizers", "tok_bpe.gguf");

/** Lines that need what is not here, each run by the test that is named. */
const ELSEWHERE: readonly (readonly [pattern: RegExp, where: string])[] = [
  [/^pronk deploy/, "deploy.test.ts, with a stand-in for Cloudflare"],
  [/ hf:/, "tests/unit/platform/pull.test.ts, with a hub of its own"],
  [/ws:\/\/first/, "stages.test.ts, with hosts that exist"],
  [/^pronk hash/, "hash.test.ts, which takes the time that it needs"],
  [/^pronk init/, "init's own tests"],
];

/** Lines that are about the real default model. */
const REAL = /^pronk (?:pull|bench --reps)| --decode$/;

/** Of a line. */
const LIMIT_MS = 250_000;

let folder: string;
const env: Record<string, string> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pronk-examples-"));
  const main = join(packageRoot(), "dist", "src", "cli", "main.js");
  await mkdir(join(folder, "bin"));
  await writeFile(
    join(folder, "bin", "pronk"),
    `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`,
  );
  await chmod(join(folder, "bin", "pronk"), 0o755);
  await copyFile(TINY, join(folder, "model.gguf"));
  const known = knownModel("smollm2-135m-instruct")!;
  const cached = join(folder, "cache", "models", known.name);
  await mkdir(cached, { recursive: true });
  await symlink(MODEL_FILE, join(cached, known.file));
  const schema = { type: "object", properties: { city: { type: "string", maxLength: 20 } } };
  await writeFile(join(folder, "schema.json"), JSON.stringify({ ...schema, required: ["city"] }));
  await writeFile(
    join(folder, "text.txt"),
    "The quick brown fox jumps over the lazy dog. ".repeat(40),
  );
  await writeFile(join(folder, "system.txt"), "You answer in one word.");
  await writeFile(join(folder, "keys.txt"), "a-key-of-some-length\n");
  Object.assign(env, {
    PATH: `${join(folder, "bin")}:${process.env.PATH}`,
    HOME: folder,
    PRONK_CACHE: join(folder, "cache"),
    HF_HUB_OFFLINE: "1",
    PORT: "0",
    PRONK_MODEL: "model.gguf",
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a line to its end, or, of a server, until it says that it is there. */
function type(line: string): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const own = REAL.test(line) ? { ...env, PRONK_MODEL: "" } : env;
    const child = spawn("sh", ["-c", line], { cwd: folder, env: own, detached: true });
    let [out, err] = ["", ""];
    const end = (signal: NodeJS.Signals): void =>
      void (child.pid && process.kill(-child.pid, signal));
    const timer = setTimeout(() => {
      end("SIGKILL");
      reject(new Error(`${line}: no end in time: ${out}${err}`));
    }, LIMIT_MS);
    // Somebody says one thing to a chat, and nothing to the others.
    child.stdin.end(/^pronk chat/.test(line) ? "Hi\n" : "");
    child.stdout.on("data", (chunk) => {
      out += chunk;
      if (/^pronk (?:serve|front|stage) /.test(`${line} `) && / at (?:http|ws)/.test(out))
        end("SIGTERM");
    });
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, out, err });
    });
  });
}

const lines = (await allCommands())
  .flatMap(({ examples }) => examples.map(({ line }) => line))
  .filter((line) => !ELSEWHERE.some(([pattern]) => pattern.test(line)));

test.each(lines)("%s", async (line) => {
  if (line.includes("./pack ")) await type("pronk pack model.gguf --out pack");
  // Whatever else listens on this machine.
  const { code, out, err } = await type(line.replace(/--port \d+/, "--port 0"));
  // Of a server that was told to end sh may report the signal.
  expect([0, null, 143], err).toContain(code);
  expect(err).not.toMatch(/^(?:pronk \S+:|next:)/m);
  if (!line.includes(" > ")) expect(out).not.toBe("");
});
