/**
 * A document's commands, run one after the other as a reader would type them, in a folder of their own: files that it
 * shows are written where it names them (`name.ext`: before a block), servers go on until the end or until another
 * takes their port, and what it says that a command prints (a block of text behind "prints:") has to be in its output.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { commandsInShell } from "../support/document-commands.ts";

/** Of a machine that does other things, too: packing takes a minute there. */
const COMMAND_MS = 300_000;
const START_MS = 300_000;

export interface DocumentRun {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Of the test: what still runs when its time is over is ended, as the next one takes the same ports. */
  readonly signal: AbortSignal;
  /** Ports and names that are others here, in commands and files. */
  readonly moved?: (text: string) => string;
  /** What is run in a command's place; undefined: nothing, it is tried elsewhere. */
  readonly typed?: (command: string) => string | undefined;
  /** Called while the servers still run. */
  readonly last?: () => Promise<void>;
}

export interface Block {
  readonly language: string;
  readonly text: string;
  /** The last line of prose before it. */
  readonly lead: string;
}

export function blocksOf(document: string): readonly Block[] {
  const blocks: Block[] = [];
  let lead = "";
  let open: { language: string; lines: string[] } | undefined;
  for (const line of document.split("\n")) {
    const fence = /^```(\w*)\s*$/.exec(line);
    if (open && fence) {
      blocks.push({ language: open.language, text: `${open.lines.join("\n")}\n`, lead });
      open = undefined;
      lead = "";
    } else if (open) open.lines.push(line);
    else if (fence) open = { language: fence[1] ?? "", lines: [] };
    else if (line.trim() !== "") lead = line;
  }
  return blocks;
}

/** Those that go on: what answers HTTP. */
const SERVER =
  /^(?:\w+=\S+ )*(?:npx pronk (?:serve|front|stage)|npx wrangler dev|npm (?:run dev|start)|deno task start|bun (?:run )?(?:start|index\.ts)|node server\.mjs|npx vite(?! build))\b(?!.*--help)/;

export const isServer = (command: string): boolean => SERVER.test(command);

const portOf = (command: string, standard: string): string =>
  /--port (\d+)/.exec(command)?.[1] ?? /PORT=(\d+)/.exec(command)?.[1] ?? standard;

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null;

/** Numbers differ from machine to machine. */
const shape = (text: string): string => text.replaceAll(/\d[\d,.]*/g, "#").replaceAll(/ +/g, " ");

/** Runs all of it; gives each command with its output. */
export async function runDocument(
  file: string,
  { folder, env, signal, moved = (text) => text, typed = (command) => command, last }: DocumentRun,
): Promise<ReadonlyMap<string, string>> {
  const outputs = new Map<string, string>();
  const servers = new Map<string, ChildProcess>();
  let at = folder;
  let printed = "";
  const started = (command: string, stdio: "pipe"): { child: ChildProcess; said: () => string } => {
    signal.throwIfAborted();
    // A group of its own: shells, npx and the tools' own children end with it.
    const child = spawn("sh", ["-ec", command], { cwd: at, env, stdio, detached: true });
    const kill = (): void => void end(child, "SIGKILL");
    signal.addEventListener("abort", kill);
    child.once("exit", () => signal.removeEventListener("abort", kill));
    child.stdin?.end();
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
    }
    return { child, said: () => said };
  };
  const end = async (child: ChildProcess | undefined, by: NodeJS.Signals): Promise<void> => {
    if (child?.pid === undefined || hasEnded(child)) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    process.kill(-child.pid, by);
    const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), 8_000);
    await ended;
    clearTimeout(timer);
  };
  const answers = (port: string): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(5_000) }).then(
      ({ status }) => status < 500,
      () => false,
    );

  const start = async (command: string): Promise<void> => {
    const port = portOf(command, env.PORT ?? "8787");
    await end(servers.get(port), "SIGTERM");
    await expect.poll(() => answers(port), { timeout: 20_000 }).toBe(false);
    const { child, said } = started(command, "pipe");
    servers.set(port, child);
    const until = performance.now() + START_MS;
    while (!(await answers(port))) {
      const isOver = hasEnded(child) || performance.now() > until;
      if (isOver) throw new Error(`${file}: ${command}: no answer on port ${port}: ${said()}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    printed = said();
  };
  const run = async (command: string): Promise<void> => {
    const { child, said } = started(command, "pipe");
    const timer = setTimeout(() => void end(child, "SIGKILL"), COMMAND_MS);
    const code = await new Promise((resolve) => child.once("close", resolve));
    clearTimeout(timer);
    expect(code, `${file}: ${command}\n${said()}`).toBe(0);
    printed += said();
    outputs.set(command, said());
  };

  try {
    for (const { language, text, lead } of blocksOf(readFileSync(file, "utf8"))) {
      const [, name] = /`([\w./-]+\.\w+)`:$/.exec(lead) ?? [];
      if (language === "sh") {
        printed = "";
        for (const { text: command } of commandsInShell(moved(text))) {
          const [, into] = /^cd (\S+)$/.exec(command) ?? [];
          const line = typed(command);
          if (line === undefined) continue;
          if (into !== undefined) at = join(at, into);
          else if (isServer(command)) await start(line);
          else await run(line);
        }
      } else if (name !== undefined) {
        mkdirSync(dirname(join(at, name)), { recursive: true });
        writeFileSync(join(at, name), moved(text));
      } else if (/\bprints?:$/.test(lead)) {
        for (const line of text.split("\n").filter((one) => one.trim() !== "" && one !== "...")) {
          expect(shape(printed), `${file}: ${line}`).toContain(shape(moved(line)).trim());
        }
      }
    }
    await last?.();
  } finally {
    for (const child of servers.values()) await end(child, "SIGTERM");
  }
  return outputs;
}
