/** pronk chat as a process: piped, and on a terminal of its own. */
import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { DEFAULT_PACK, QUESTION } from "./environment.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const CHAT = ["chat", DEFAULT_PACK, "do_sample=False", "max_new_tokens=60"];

/** Colours and movements of the cursor. */
const ANSI = new RegExp(`${String.fromCharCode(27)}[[][0-9;]*[A-Za-z]`, "g");

const ANSWER = "A week is approximately 7 days.";

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
    const child = spawn(command, args, { env: { ...process.env, USER: "ada" }, timeout: 60_000 });
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
    child.stdout.on("data", (chunk) => {
      out += chunk;
      next();
    });
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, err }));
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

test.skipIf(!hasScript)(
  "on a terminal: prompts, history, Ctrl+C ends an answer, Ctrl+D the chat",
  async () => {
    const command = [process.execPath, main, ...CHAT].map((word) => `'${word}'`).join(" ");
    const prompt = /\n<ada>: $/;
    const { code, out } = await talk(
      "script",
      ["-qec", command, "/dev/null"],
      [
        { after: prompt, write: `${QUESTION}\r` },
        // The line before, by the arrow key.
        { after: prompt, write: "\x1b[A\r" },
        { after: prompt, write: "/set max_new_tokens=5000\r" },
        { after: prompt, write: "Write a long story about a llama.\r" },
        { after: /llama\.\s[\s\S]*>: .{20}/, write: "\x03" },
        { after: prompt, write: "/stats\r" },
        { after: prompt, write: "\x04" },
      ],
    );
    expect(code, out).toBe(0);
    expect(out.split(ANSWER).length).toBeGreaterThanOrEqual(2);
    expect(out.split(QUESTION).length).toBe(3);
    expect(out).toContain("messages   6");
  },
);
