// A test runner for Stryker that keeps the tests loaded: a mutant costs the time of the tests that reach it, some
// milliseconds, where starting Vitest for each costs more than a second. Mutants of what runs while modules load get a
// thread of their own, with the tests of the files that import theirs.
//
// Options: {"pronk": {"tests": [paths], "without": [titles]}}. Runs in Stryker's sandbox, whose TypeScript it turns into modules beside the sources.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { transform } from "esbuild";

/** What Stryker writes into the sources; replaced by what costs little in loops that run millions of times. */
const HELPERS =
  /function stryNS_9fa48\(\) \{[\s\S]*?\nfunction stryMutAct_9fa48\(id\) \{[\s\S]*?\n\}\n/;
const COUNT_CALL = /stryCov_9fa48\(((?:"\d+",?\s*)+)\)/g;
const ACTIVE_CALL = /stryMutAct_9fa48\("(\d+)"\)/g;
const STATE = "const mutation = globalThis.mutationState, { hits: mutationHits } = mutation;\n";
const IMPORTED = /(\b(?:from|import)\s*\(?\s*)"(\.{1,2}\/[^"]+)\.ts"/g;
/**
 * Of the tests that reach a mutant the quickest are asked, so many as take this much of the processor together without a mutant: a test that
 * takes seconds would be run for each mutant that no test notices. What only a slow test would notice counts as not noticed.
 */
const MOST_MS = 500;
/** Of a mutant in a thread of its own, which has to load them first. */
const MOST_MS_ALONE = 300;
/** A loop without an end: a mutant that is reached so much more often than its code was without it. */
const MORE_HITS = 10;
const FEW_HITS = 10_000;
/** Without a mutant being reached: tests that take so much more of the processor. */
const MORE_TIME = 5;
const LEAST_TIME_MS = 1_500;
/** And what waits for nothing: the thread's event loop did nothing between two looks at it, however busy the machine is. */
const LOOK_MS = 500;
/** Nor does what asks again and again whether something has come: for so long next to nothing was computed. */
const CALM_MS = 4_000;
const CALM_SHARE = 0.05;
/** Of the processor, for loading tests. */
const LOADING_MS = 30_000;

/** The modules that tests need, in two variants: one that counts what tests reach, and a faster one that does not. */
async function writeModules(root, testFiles) {
  const reached = new Map();
  const waiting = testFiles.map((file) => resolve(root, file));
  while (waiting.length > 0) {
    const path = waiting.pop();
    if (reached.has(path)) continue;
    const { code } = await transform(readFileSync(path, "utf8"), {
      loader: path.endsWith("x") ? "tsx" : "ts",
      format: "esm",
      target: "es2023",
      sourcefile: path,
    });
    const imports = [...code.matchAll(IMPORTED)].map(
      ([, , to]) => `${resolve(dirname(path), to)}.ts`,
    );
    const existing = imports.filter((to) => existsSync(to));
    reached.set(path, existing);
    const shim = pathToFileURL(join(root, "scripts/mutation/vitest-api.mjs")).href;
    const isMutated = HELPERS.test(code);
    const withShim = code
      .replaceAll(/from\s*"vitest"/g, `from "${shim}"`)
      .replace(HELPERS, STATE)
      .replaceAll(ACTIVE_CALL, "(mutation.active === $1 && mutation.hit())");
    if (isMutated && withShim.includes("stryMutAct")) throw new Error(`${path}: a call was left`);
    for (const [variant, text] of [
      ["counting", withShim.replaceAll(COUNT_CALL, (_, ids) => counted(ids))],
      ["running", withShim.replaceAll(COUNT_CALL, "0")],
    ]) {
      const out = text.replaceAll(IMPORTED, (_, before, to) => `${before}"${to}.${variant}.mjs"`);
      writeFileSync(path.replace(/\.tsx?$/, `.${variant}.mjs`), out);
    }
    waiting.push(...existing);
  }
  return reached;
}

const counted = (ids) =>
  `(${Array.from(ids.matchAll(/\d+/g), ([id]) => `mutationHits[${id}]++`).join(", ")})`;

/** Which of the test files import a source, by whatever way. */
function importersOf(graph, root, testFiles) {
  const closures = testFiles.map((file) => {
    const seen = new Set();
    const waiting = [resolve(root, file)];
    while (waiting.length > 0) {
      const path = waiting.pop();
      if (seen.has(path)) continue;
      seen.add(path);
      waiting.push(...(graph.get(path) ?? []));
    }
    return { file, seen };
  });
  return (path) => closures.filter(({ seen }) => seen.has(path)).map(({ file }) => file);
}

class KeptTestsRunner {
  #root = process.cwd();
  #known = join(this.#root, "mutation-dry-run.json");
  #testFiles;
  #without;
  #importers;
  #thread;
  /** Milliseconds of the processor that a test took in the dry run: the quick ones are asked first. */
  #times = new Map();
  /** By test, then by mutant: how often it was reached in the dry run. */
  #hits = {};

  constructor(options) {
    this.#testFiles = options.pronk.tests;
    this.#without = options.pronk.without;
  }

  capabilities() {
    return { reloadEnvironment: true };
  }

  async init() {
    const graph = await writeModules(this.#root, this.#testFiles);
    this.#importers = importersOf(graph, this.#root, this.#testFiles);
    if (!existsSync(this.#known)) return;
    // In the place of a runner that ended: there is no other dry run.
    const { hits, times } = JSON.parse(readFileSync(this.#known, "utf8"));
    this.#hits = hits;
    this.#times = new Map(times);
  }

  async #start(variant, files, { mutant, hitLimit } = {}) {
    const worker = new Worker(join(this.#root, "scripts/mutation/thread.mjs"), {
      workerData: {
        shim: pathToFileURL(join(this.#root, "scripts/mutation/vitest-api.mjs")).href,
        mutant,
        hitLimit,
        without: this.#without,
        files: files.map((name) => ({
          name,
          path: pathToFileURL(resolve(this.#root, name.replace(/\.tsx?$/, `.${variant}.mjs`))).href,
        })),
      },
      stdout: true,
      stderr: true,
    });
    const { error, hung } = await this.#next(worker, "loaded", LOADING_MS);
    return { worker, error: hung ? "the tests did not load" : error };
  }

  /** The next message, or {hung} when the thread takes more of the processor or waits, or {error} when it ends. */
  #next(worker, kind, ms) {
    return new Promise((done) => {
      const end = (answer) => {
        clearInterval(timer);
        worker.off("message", onMessage).off("error", onError).off("exit", onExit);
        done(answer);
      };
      const started = process.cpuUsage();
      let [spent, calm] = [0, 0];
      let before = worker.performance.eventLoopUtilization();
      const timer = setInterval(() => {
        const { user, system } = process.cpuUsage(started);
        const now = worker.performance.eventLoopUtilization();
        const waits = kind === "answer" && now.active === before.active;
        const total = (user + system) / 1000;
        calm = total - spent < CALM_SHARE * LOOK_MS ? calm + LOOK_MS : 0;
        spent = total;
        if (waits || calm >= CALM_MS || total > ms) end({ hung: true });
        before = now;
      }, LOOK_MS);
      const onMessage = (message) => message.kind === kind && end(message);
      const onError = (error) => end({ error: String(error), status: "error" });
      const onExit = (code) => end({ error: `the thread ended: ${code}`, status: "error" });
      worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    });
  }

  async dryRun() {
    const { worker, error } = await this.#start("counting", this.#testFiles);
    try {
      if (error) return { status: "error", errorMessage: error };
      worker.postMessage({ kind: "dry" });
      const answer = await this.#next(worker, "answer", LOADING_MS * 10);
      if (!answer.results) return { status: "error", errorMessage: answer.error ?? "no end" };
      this.#hits = answer.coverage.perTest;
      this.#times = new Map(answer.results.map(({ id, timeSpentMs }) => [id, timeSpentMs]));
      writeFileSync(this.#known, JSON.stringify({ hits: this.#hits, times: [...this.#times] }));
      return {
        status: "complete",
        mutantCoverage: answer.coverage,
        tests: answer.results.map(({ id, name, file, timeSpentMs, message }) => ({
          id,
          name,
          timeSpentMs,
          fileName: resolve(this.#root, file),
          ...(message === undefined ? { status: 0 } : { status: 1, failureMessage: message }),
        })),
      };
    } finally {
      await worker.terminate();
    }
  }

  async mutantRun({ activeMutant, testFilter, sandboxFileName, mutantActivation }) {
    const isStatic = mutantActivation === "static";
    const files = isStatic ? this.#importers(resolve(sandboxFileName)) : this.#testFiles;
    const reaching = [...(testFilter ?? this.#times.keys())];
    const ids = this.#quickest(
      reaching.filter((id) => files.includes(id.split("#")[0])),
      isStatic ? MOST_MS_ALONE : MOST_MS,
    );
    const mutant = Number(activeMutant.id);
    const hits = ids.reduce((sum, id) => sum + (this.#hits[id]?.[mutant] ?? 0), 0);
    const time = ids.reduce((sum, id) => sum + this.#times.get(id), 0);
    const asked = { kind: "run", mutant, ids, hitLimit: hits * MORE_HITS + FEW_HITS, isStatic };
    const timeout = time * MORE_TIME + LEAST_TIME_MS;
    if (isStatic) return this.#alone(files, asked, timeout);

    let answer = await this.#ask(asked, timeout);
    if (answer.status === "killed" && answer.isSpoiled) {
      // What an earlier mutant left behind may have failed the test: once more, in a fresh thread.
      await this.#give();
      answer = await this.#ask(asked, timeout);
    }
    if (answer.isSpoiled || answer.hung) await this.#give();
    return this.#result(answer, ids.length);
  }

  /** At least one test; of the others those that there is time for. */
  #quickest(ids, most) {
    const timeOf = (id) => this.#times.get(id) ?? 0;
    const ascending = ids.toSorted((a, b) => timeOf(a) - timeOf(b));
    let left = most;
    return ascending.filter((id, at) => (left -= timeOf(id)) >= 0 || at === 0);
  }

  async #ask(asked, timeout) {
    if (!this.#thread) {
      const { worker, error } = await this.#start("running", this.#testFiles);
      if (error) return { status: "error", message: error };
      this.#thread = worker;
    }
    this.#thread.postMessage(asked);
    const answer = await this.#next(this.#thread, "answer", timeout);
    if (answer.status === "error") this.#thread = undefined;
    return answer;
  }

  async #alone(files, asked, timeout) {
    const { worker, error } = await this.#start("running", files, asked);
    try {
      if (error) return this.#result({ status: "killed", killedBy: [], message: error }, 1);
      worker.postMessage(asked);
      const answer = await this.#next(worker, "answer", timeout);
      return this.#result(answer, files.length);
    } finally {
      await worker.terminate();
    }
  }

  #result(answer, nrOfTests) {
    if (answer.hung || answer.status === "timeout") return { status: "timeout" };
    if (answer.status === "survived") return { status: "survived", nrOfTests };
    if (answer.status === "killed") {
      const { killedBy, message } = answer;
      return { status: "killed", killedBy, failureMessage: message, nrOfTests };
    }
    return { status: "error", errorMessage: answer.message ?? answer.error };
  }

  async #give() {
    await this.#thread?.terminate();
    this.#thread = undefined;
  }

  async dispose() {
    await this.#give();
  }
}

const factory = (options) => new KeptTestsRunner(options);
factory.inject = ["options"];
export const strykerPlugins = [{ kind: "TestRunner", name: "kept-tests", factory }];
