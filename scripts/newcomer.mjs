// Plays somebody who comes here for the first time, and times it: every command as the README and `pronk init` say it, in
// folders and caches of its own, up to the model's first answer.
//
//   node scripts/newcomer.mjs [clone] [worker] [node] [--json]     default: clone and worker
//   NEWCOMER_WARM=1    with the caches of this machine (npm's, and the model's), which somebody has who tries again
//
// Needs git, npm, curl, a network, and the build (npm ci makes it). Nothing is written outside a temporary folder; all processes end with it.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** A command that takes longer is one at which people give up. */
const STEP_MS = 15 * 60_000;

/** How often curl is typed again while the server is not there yet. */
const RETRY_MS = 500;

const asked = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const paths = asked.length > 0 ? asked : ["clone", "worker"];
const isJson = process.argv.includes("--json");
const isWarm = Boolean(process.env.NEWCOMER_WARM);

const home = mkdtempSync(join(tmpdir(), "pronk-newcomer-"));

const clean = () => rmSync(home, { recursive: true, force: true, maxRetries: 5 });
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    clean();
    process.exit(130);
  });
}

/** A machine without anything of ours; how it reaches registries stays as it is. */
const env = {
  ...process.env,
  ...(!isWarm && {
    npm_config_cache: join(home, "npm"),
    PRONK_CACHE: join(home, "pronk"),
    PIP_NO_CACHE_DIR: "1",
  }),
  WRANGLER_SEND_METRICS: "false",
  CI: "1",
};

const say = (text) => process.stderr.write(`${text}\n`);

const seconds = (ms) => Math.round(ms / 100) / 10;

const clock = (ms) => {
  const whole = Math.round(ms / 1000);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

/** One path: what was typed, and when each was done. */
class Path {
  steps = [];
  #began = performance.now();

  constructor(name) {
    this.name = name;
    say(`\n${name}`);
  }

  #done(typed, began) {
    const ms = performance.now() - began;
    this.steps.push({ typed, seconds: seconds(ms) });
    say(`  ${seconds(ms).toFixed(1).padStart(6)} s  ${typed}`);
  }

  /** @param typed what people type; `run` is that with this machine's places in it. */
  run(typed, cwd, run = typed) {
    const began = performance.now();
    execFileSync("sh", ["-ec", run], {
      cwd,
      env,
      timeout: STEP_MS,
      stdio: ["ignore", "ignore", "pipe"],
      maxBuffer: 2 ** 26,
    });
    this.#done(typed, began);
  }

  /** Starts a server, then asks it by the curl that was shown, until the model answers. */
  async ask(typed, cwd, { run, port, curl }) {
    const began = performance.now();
    // A group of its own: servers have children.
    const child = spawn("sh", ["-ec", `exec ${run ?? typed}`], {
      cwd,
      env: { ...env, PORT: String(port) },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        said = (said + text).slice(-4000);
      });
    }
    let hasEnded = false;
    const ended = new Promise((resolve) => child.once("close", resolve));
    void ended.then(() => {
      hasEnded = true;
    });
    try {
      const here = curl.replace(/localhost:8787|127\.0\.0\.1:8787/, `127.0.0.1:${port}`);
      for (;;) {
        const answer = contentOf(here, cwd);
        if (answer) {
          this.#done(typed, began);
          this.steps.push({ typed: curl, seconds: 0 });
          return this.#end(answer);
        }
        if (hasEnded || performance.now() - began > STEP_MS) throw new Error(`${typed}: ${said}`);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    } finally {
      if (!hasEnded) process.kill(-child.pid, "SIGKILL");
      await ended;
    }
  }

  #end(answer) {
    const ms = performance.now() - this.#began;
    say(`  ${clock(ms)} min for ${this.steps.length} commands: ${JSON.stringify(answer)}`);
    const { name, steps } = this;
    return {
      path: name,
      commands: steps.length,
      seconds: seconds(ms),
      clock: clock(ms),
      steps,
      answer,
    };
  }
}

/** What the model said, or undefined where there is no answer yet. */
function contentOf(curl, cwd) {
  try {
    const text = execFileSync("sh", ["-ec", curl], {
      cwd,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: STEP_MS,
    });
    return JSON.parse(text).choices?.[0]?.message.content;
  } catch {
    return undefined;
  }
}

/** The commands of a README's first block, without what is said of them, and the curl of the next. */
function readmeCommands(readme) {
  const [first, second] = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block);
  const commands = first.split("\n").map((line) => line.replace(/#.*$/, "").trim());
  const [install, start, ...more] = commands.filter(Boolean);
  const curl = second?.trim();
  if (!start || more.length > 0 || !curl?.startsWith("curl ")) {
    throw new Error("README.md: its first blocks are no longer two commands and a curl");
  }
  return { install, start, curl };
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function fromClone() {
  const path = new Path("from clone to first answer");
  const folder = join(home, "pronk");
  path.run("git clone URL pronk && cd pronk", home, `git clone -q file://${root} pronk`);
  const { install, start, curl } = readmeCommands(readFileSync(join(folder, "README.md"), "utf8"));
  path.run(install, folder);
  return path.ask(start, folder, { port: await freePort(), curl });
}

async function fromInit(target) {
  const path = new Path(`from pronk init --to ${target} to first answer`);
  // Where no package is published, a clone makes it: this one, which is built.
  const main = join(root, "dist", "src", "cli", "main.js");
  const began = `npx pronk init my-llm --to ${target}`;
  path.run(began, home, `node ${main} init my-llm-${target} --to ${target}`);
  const folder = join(home, `my-llm-${target}`);
  path.run("cd my-llm && npm install", folder, "npm install");
  const readme = readFileSync(join(folder, "README.md"), "utf8");
  const [, curl] = /^(curl .*)$/m.exec(readme);
  const port = await freePort();
  const [, start] = /```sh\n[^`]*?^(npm (?:run dev|start))$/m.exec(readme);
  const run = target === "worker" ? `${start} -- --port ${port} --inspector-port 0` : start;
  return path.ask(start, folder, { run, port, curl });
}

try {
  const results = [];
  for (const name of paths) {
    results.push(name === "clone" ? await fromClone() : await fromInit(name));
  }
  const document = { node: process.version, caches: isWarm ? "warm" : "empty", results };
  if (isJson) process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
} finally {
  clean();
}
