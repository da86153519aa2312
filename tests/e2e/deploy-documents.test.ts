/** The commands of docs/deploy, read out of the documents and run as they stand, on other ports. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findRuntime, packageRoot } from "../../src/cli/runtimes.ts";
import { openDocument } from "../support/document-commands.ts";
import { DEFAULT_PACK } from "./environment.ts";
import { systemProgram } from "./system-program.ts";

const root = packageRoot();
const folder = join(root, "docs", "deploy");
const documents = readdirSync(folder).filter((name) => name.endsWith(".md"));
/** Those whose commands are run here: tests/support/document-tests.ts names the tests of the others. */
const RUN = ["node.md", "deno.md", "bun.md"];

const read = (name: string): string => readFileSync(join(folder, name), "utf8");

/** Far from the ports of the machine's own services. */
const moved = (text: string): string => text.replaceAll(/\b(8080|87\d\d)\b/g, "2$1");

const isServer = (command: string): boolean =>
  /\b(?:serve|front|nginx)\b|workers\/|dist\/workers/.test(command) && !command.startsWith("curl");

/** Where a server listens: its own option, else the variable in front, else what its file says. */
function portOf(command: string): string {
  const given = /--port (\d+)/.exec(command)?.[1] ?? /PORT=(\d+)/.exec(command)?.[1];
  if (given !== undefined) return given;
  if (command.startsWith("nginx")) return moved("8080");
  throw new Error(`${command}: where does it listen?`);
}

describe.each(RUN)("%s", (name) => {
  let work: string;
  const servers = new Map<string, ChildProcess>();

  beforeEach(() => {
    work = mkdtempSync(join(tmpdir(), "pronk-documents-"));
    const bin = join(work, "bin");
    mkdirSync(bin);
    symlinkSync(findRuntime("deno"), join(bin, "deno"));
    symlinkSync(findRuntime("bun"), join(bin, "bun"));
    for (const program of ["nginx", "curl"]) {
      symlinkSync(systemProgram(program), join(bin, program));
    }
    mkdirSync(join(work, "deploy"));
    const nginx = readFileSync(join(root, "deploy", "nginx.conf"), "utf8");
    const own = moved(nginx).replaceAll("/tmp/pronk-nginx", join(work, "nginx"));
    writeFileSync(join(work, "deploy", "nginx.conf"), own);
  });

  afterEach(async () => {
    for (const port of [...servers.keys()]) await stop(port);
    rmSync(work, { recursive: true, force: true });
  });

  const options = () => ({
    cwd: root,
    env: {
      ...process.env,
      PATH: `${join(work, "bin")}:${process.env.PATH}`,
      PRONK_MODEL: DEFAULT_PACK,
      MODEL: DEFAULT_PACK,
      DENO_NO_UPDATE_CHECK: "1",
      DO_NOT_TRACK: "1",
    },
  });

  async function stop(port: string): Promise<void> {
    const child = servers.get(port);
    servers.delete(port);
    if (child?.pid === undefined || child.exitCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    process.kill(-child.pid, "SIGTERM"); // its group: a shell and npx are between
    const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), 5000);
    await ended;
    clearTimeout(timer);
    // The shell ends at once; the server behind it lets go of its port when it has ended, too.
    const isFree = (): Promise<boolean> =>
      fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(5000) }).then(
        () => false,
        () => true,
      );
    await expect.poll(isFree, { timeout: 20_000, interval: 50, message: port }).toBe(true);
  }

  async function start(command: string): Promise<void> {
    const port = portOf(command);
    await stop(port);
    const child = spawn("sh", ["-c", command.replace('"$PWD/deploy/', `"${work}/deploy/`)], {
      ...options(),
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    servers.set(port, child);
    // The front and nginx answer 503 and 502 while they have nobody behind them; here they do.
    const health = async (): Promise<number | string> => {
      if (child.exitCode !== null) return output;
      const response = await fetch(`http://127.0.0.1:${port}/health`, {
        signal: AbortSignal.timeout(5000),
      }).catch(() => undefined);
      return response?.status ?? 0;
    };
    await expect.poll(health, { timeout: 180_000, interval: 100, message: command }).toBe(200);
  }

  test("its commands run one after the other, and what they ask is answered", async () => {
    const document = openDocument(`docs/deploy/${name}`);
    expect(document.commands.length).toBeGreaterThan(3);
    let answers = 0;
    for (const written of document.commands) {
      document.ran(written);
      const command = moved(written);
      if (isServer(command)) {
        await start(command);
        continue;
      }
      expect(command).toMatch(/^curl /);
      const output = execFileSync("sh", ["-c", command], {
        ...options(),
        encoding: "utf8",
        timeout: 180_000,
      });
      if (command.includes("chat/completions")) {
        expect(output).toContain("A week is approximately 7 days.");
        answers++;
      }
    }
    expect(answers).toBeGreaterThan(0);
    document.expectAllRan();
  });
});

test("options that they name exist, and so do the files that they link to", () => {
  const main = join(root, "dist", "src", "cli", "main.js");
  const helps = ["serve", "front", "inspect", "pack", "pull"].map((command) =>
    execFileSync(process.execPath, [main, command, "--help"], { encoding: "utf8" }),
  );
  const known = helps.join("\n");
  for (const name of documents) {
    const text = read(name);
    for (const [, line = ""] of text.matchAll(/pronk (?:serve|front|inspect|pack) ([^`\n]*)/g)) {
      for (const [option] of line.matchAll(/--[\w-]+/g))
        expect(known, name).toContain(`${option} `);
    }
    for (const [, link = ""] of text.matchAll(/\]\(((?!https?:)[^)#]+)/g)) {
      expect(existsSync(join(folder, link)), `${name}: ${link}`).toBe(true);
    }
  }
});
