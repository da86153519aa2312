/** pronk chat as a process: piped, and on a terminal of its own. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { DEFAULT_PACK, QUESTION } from "./environment.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const CHAT = ["chat", DEFAULT_PACK, "do_sample=False", "max_new_tokens=60"];

/** Colours and movements of the cursor. */
const ANSI = new RegExp(`${String.fromCharCode(27)}[[][0-9;]*[A-Za-z]`, "g");

const ANSWER = "A week is approximately 7 days.";

/** No chat here takes as long. */
const LIMIT_MS = 120_000;

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Writes each answer as soon as the output ends with what it waits for. */
function talk(
  command: string,
  args: readonly string[],
  turns: readonly { readonly after: RegExp; readonly write: string }[],
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, USER: "ada" } });
    // A script that is told to end says 0.
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill();
    }, LIMIT_MS);
    let out = "";
    let err = "";
    let seen = 0;
    let turn = 0;
    const next = (): void => {
      const { after, write } = turns[turn] ?? {};
      if (
        after === undefined ||
        write === undefined ||
        !after.test(out.slice(seen).replace(ANSI, ""))
      )
        return;
      seen = out.length;
      turn++;
      child.stdin.write(write);
    };
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      out += chunk;
      next();
    });
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      if (isLate) reject(new Error(`no end in time: ${JSON.stringify(out.slice(-600))}`));
      else if (turn === turns.length) resolve({ code, out, err });
      else
        reject(new Error(`${turns[turn]?.after} never came: ${JSON.stringify(out.slice(-600))}`));
    });
    next();
  });
}

test("piped, each line is a message, and answers are all that is printed", async () => {
  const lines = [QUESTION, "", "/nonsense", "/system Be brief.", "!quit", "never read"].join("\n");
  const { code, out, err } = await talk(
    process.execPath,
    [main, ...CHAT],
    [{ after: /^/, write: `${lines}\n` }],
  );
  expect({ code, out }).toEqual({
    code: 0,
    out: `${ANSWER}\nsystem message set, conversation begun anew\n`,
  });
  expect(err).toContain("no command /nonsense; /help lists them");
});

test("the seed's command works, and says which of its options have no effect", async () => {
  const options = ["--torch_dtype", "auto", "--attn_implementation", "flash_attention_2"];
  const child = await talk(
    process.execPath,
    [main, ...CHAT, ...options],
    [{ after: /^/, write: "/quit\n" }],
  );
  expect(child.code, child.err).toBe(0);
  expect(child.err).toContain("--torch_dtype has no effect");
  expect(child.err).toContain("--attn_implementation has no effect");
});

const hasScript = ((): boolean => {
  try {
    return execFileSync("script", ["--version"], { encoding: "utf8" }).includes("util-linux");
  } catch {
    return false;
  }
})();

/** A shell's word. */
const quoted = (word: string): string => `'${word}'`;

const PROMPT = /\n<ada>: $/;

/** A chat on a terminal of its own, with a history of its own. */
function onTerminal(
  command: readonly string[],
  state: string,
  turns: readonly { readonly after: RegExp; readonly write: string }[],
): Promise<Outcome> {
  const line = [`XDG_STATE_HOME=${quoted(state)}`, "TERM=xterm", ...command.map(quoted)].join(" ");
  return talk("script", ["-qec", line, "/dev/null"], turns);
}

async function stateFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pronk-state-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test.skipIf(!hasScript)(
  "on a terminal: prompts, history, Ctrl+C ends an answer, Ctrl+D the chat",
  async () => {
    const { code, out } = await onTerminal([process.execPath, main, ...CHAT], await stateFolder(), [
      { after: PROMPT, write: `${QUESTION}\r` },
      // The line before, by the arrow key.
      { after: PROMPT, write: "\x1b[A\r" },
      { after: PROMPT, write: "/set max_new_tokens=5000\r" },
      { after: PROMPT, write: "Write a long story about a llama.\r" },
      { after: /llama\.\s[\s\S]*>: .{20}/, write: "\x03" },
      { after: PROMPT, write: "/stats\r" },
      { after: PROMPT, write: "/undo\r" },
      { after: PROMPT, write: "\x04" },
    ]);
    expect(code, out).toBe(0);
    expect(out.split(ANSWER).length).toBeGreaterThanOrEqual(2);
    expect(out.split(QUESTION).length).toBe(3);
    expect(out).toContain("messages  6");
    expect(out).toContain("taken back: Write a long story");
    const shown = out.replaceAll("\r", "").replace(ANSI, "");
    // No word is broken at the end of a line.
    const story = /Write a long story about a llama\.\n<[^>]+>: ([\s\S]*?) \(stopped\)/.exec(shown);
    expect(story?.[1]).toMatch(/^[A-Z]/);
    for (const part of story?.[1].split("\n") ?? []) expect(part.length).toBeLessThanOrEqual(80);
  },
);

const RUNTIMES = ["node", "deno", "bun"] as const;

test.skipIf(!hasScript).each(RUNTIMES)(
  "on %s: several lines, a paste, figures, Ctrl+R and Tab; what was typed is there in the next chat",
  async (runtime) => {
    const { program, args } = commandLineOn(runtime);
    const command = [program, ...args, ...CHAT.slice(0, 2), "do_sample=False", "max_new_tokens=9"];
    const state = await stateFolder();
    const first = await onTerminal(command, state, [
      { after: PROMPT, write: "/stats on\r" },
      { after: PROMPT, write: "How many days\\\r" },
      { after: /\.\.\. $/, write: "are in a week?\r" },
      { after: PROMPT, write: "/und\t" },
      { after: /\/undo $/, write: "\r" },
      { after: PROMPT, write: "\x1b[200~first\rsecond\x03\x1b[201~" },
      { after: /first⏎second$/, write: "\r" },
      { after: PROMPT, write: "\x12days" },
      { after: /\(search "days"\) How many days⏎are in a week\?$/, write: "\r" },
      { after: PROMPT, write: "/sta\x03" },
      { after: PROMPT, write: "\x03" },
      { after: PROMPT, write: "\x03" },
    ]);
    expect(first.code, first.out).toBe(0);
    const shown = first.out.replaceAll("\r", "").replace(ANSI, "");
    expect(shown).toContain("taken back: How many days ...");
    expect(shown).toMatch(/\d+ tokens.*, [\d.]+ a second, the first after \d+ ms; prompt \d+/);
    expect(shown).toMatch(/context \[#\.{19}\] \d+ of 8,192 tokens/);
    expect(shown).toContain("Ctrl+C again leaves");
    const file = join(state, "pronk", "chat-history");
    const kept = (await readFile(file, "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(kept).toEqual([
      "/stats on",
      "How many days\nare in a week?",
      "/undo",
      "first\nsecond",
      "How many days\nare in a week?",
    ]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const second = await onTerminal(command, state, [
      { after: PROMPT, write: "\x1b[A\x1b[A" },
      { after: /first⏎second$/, write: "\x03" },
      { after: PROMPT, write: "\x04" },
    ]);
    expect(second.code, second.out).toBe(0);
  },
);
