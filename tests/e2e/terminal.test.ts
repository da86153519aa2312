/** What a terminal gets: colours, bars as wide as it is, and an end that leaves it clean. `script` gives one. */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { commandLineOn } from "../../src/cli/child.ts";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { DEFAULT_PACK } from "./environment.ts";

const main = join(packageRoot(), "dist", "src", "cli", "main.js");
const tiny = join(packageRoot(), "tests", "goldens", "tokenizers", "tok_bpe.gguf");
const own = `${process.execPath} ${main}`;
const ESC = "\x1b";
const COLOR = new RegExp(`${ESC}\\[\\d+m`);
const ANY_CODE = new RegExp(`${ESC}\\[[\\d;]*\\w`, "g");

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** @param interruptAt Ctrl+C is typed once this has been written. */
function shell(
  program: string,
  args: readonly string[],
  { env = {}, interruptAt }: { env?: Record<string, string>; interruptAt?: string } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...inherited } = process.env;
    const child = spawn(program, args, { env: { ...inherited, TERM: "xterm-256color", ...env } });
    let [out, err, isTyped] = ["", "", false];
    const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      if (interruptAt === undefined || isTyped || !out.includes(interruptAt)) return;
      isTyped = true;
      child.stdin.write("\x03");
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
    });
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, out, err });
    });
  });
}

/** In a terminal of so many columns; stdout and stderr are one there. */
const inTerminal = (
  columns: number,
  line: string,
  more?: Parameters<typeof shell>[2],
): Promise<Ended> =>
  shell("script", ["-qec", `stty cols ${columns} rows 40; ${line}`, "/dev/null"], more);

describe.each(["node", "deno", "bun"] as const)("on %s", (runtime) => {
  const { program, args } = commandLineOn(runtime);
  const line = [program, ...args].join(" ");

  test("a reader that has seen enough ends the command quietly, with 141", async () => {
    const many = `${line} inspect ${tiny} --tensors --plan`;
    const { out, err } = await shell("bash", ["-c", `${many} | true; echo "\${PIPESTATUS[0]}"`]);
    expect({ out, err }).toEqual({ out: "141\n", err: "" });
  });

  test("colours are on a terminal, and not with NO_COLOR", async () => {
    expect((await inTerminal(80, `${line} help run`)).out).toContain(`${ESC}[36m`);
    const plain = await inTerminal(80, `${line} help run`, { env: { NO_COLOR: "1" } });
    expect(plain.out).toContain("pronk run: generate");
    // Deno erases what it may have written of its own.
    expect(plain.out).not.toMatch(COLOR);
  });
});

test("help is as wide as the terminal", async () => {
  const longest = async (columns: number): Promise<number> => {
    const { out } = await inTerminal(columns, `${own} help serve`, { env: { NO_COLOR: "1" } });
    const prose = out.split("\r\n").filter((text) => !/^ {2}pronk|^ *\S+$/.test(text));
    return Math.max(...prose.map((text) => text.length));
  };
  expect(await longest(60)).toBeLessThanOrEqual(60);
  const wide = await longest(120);
  expect(wide).toBeGreaterThan(80);
  expect(wide).toBeLessThanOrEqual(100);
});

test("a bar fits its terminal, and is gone when there is a result", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pronk-terminal-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const text = join(folder, "text.txt");
  await writeFile(text, "The quick brown fox jumps over the lazy dog. ".repeat(30));
  for (const columns of [50, 100]) {
    const { out, code } = await inTerminal(columns, `${own} eval ${DEFAULT_PACK} --text ${text}`);
    expect(code, out).toBe(0);
    const drawn = out.split("\r").filter((piece) => piece.includes("━"));
    expect(drawn.length).toBeGreaterThan(1);
    for (const piece of drawn) {
      expect(piece.replaceAll(ANY_CODE, "").trimEnd().length).toBeLessThan(columns);
    }
    expect(out).toMatch(/\r\nperplexity [\d.]+ over \d+ tokens\r\n$/);
  }
});

test("Ctrl+C ends the line of a bar, and the command with 130", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pronk-terminal-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const text = join(folder, "text.txt");
  await writeFile(text, "The quick brown fox jumps over the lazy dog. ".repeat(3000));
  const { out, code } = await inTerminal(80, `${own} eval ${DEFAULT_PACK} --text ${text}`, {
    interruptAt: "scoring",
  });
  expect(code).toBe(130);
  expect(out).toMatch(/\r\n$/);
  // Whatever was switched on is switched off: colours are, and nothing else is used.
  expect(out).not.toContain(`${ESC}[?`);
});

describe("an answer that would command the terminal", () => {
  // A title, a clipboard, a cleared screen; what a terminal takes for ESC [ in one character.
  const pattern = String.raw`\x1b\]52;c;cm0=\x07\x1b\[2J\x9b1mé\tend`;
  const line = `${own} run ${DEFAULT_PACK} --prompt x --max-tokens 60 --regex '${pattern}'`;
  const answer = `${ESC}]52;c;cm0=\x07${ESC}[2J\x9b1mé\tend\n`;

  test("is shown without its control characters", async () => {
    const { out, code } = await inTerminal(80, line, { env: { NO_COLOR: "1" } });
    expect(code, out).toBe(0);
    expect(out).toContain("\ufffd]52;c;cm0=\ufffd\ufffd[2J\ufffd1mé\tend\r\n");
    expect(out).not.toContain(`${ESC}]`);
    expect(out).not.toContain(`${ESC}[2J`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(out).not.toMatch(/[\x07\x80-\x9f]/);
  });

  test("is what the model wrote, byte for byte, in a pipe", async () => {
    const { out, code } = await shell("bash", ["-c", `${line} --quiet | cat`]);
    expect({ out, code }).toEqual({ out: answer, code: 0 });
  });
});

test("--quiet leaves errors alone on stderr, --json the document alone on stdout", async () => {
  const out = await mkdtemp(join(tmpdir(), "pronk-terminal-"));
  onTestFinished(() => rm(out, { recursive: true, force: true }));
  const packed = await shell(process.execPath, [
    main,
    "pack",
    tiny,
    "--out",
    out,
    "--json",
    "--quiet",
  ]);
  expect(packed).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse(packed.out)).toMatchObject({ path: out });
  const wrong = await shell(process.execPath, [main, "pack", "./no.gguf", "--out", out, "-q"]);
  expect(wrong.err).toMatch(/^pronk pack: \.\/no\.gguf: no such file/);
});
