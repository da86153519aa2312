/** pronk chat as a process, piped. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { DEFAULT_PACK, QUESTION } from "./environment.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const CHAT = ["chat", DEFAULT_PACK, "do_sample=False", "max_new_tokens=60"];

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
    const child = spawn(command, args, { env: { ...process.env, USER: "ada" }, timeout: 120_000 });
    let out = "";
    let err = "";
    let seen = 0;
    let turn = 0;
    const next = (): void => {
      const { after, write } = turns[turn] ?? {};
      if (after === undefined || write === undefined || !after.test(out.slice(seen))) return;
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
