// The thread that holds the tests of a mutation run: it loads them once, and runs those that reach a mutant for each. What a
// mutant leaves behind in a module is found by running the test that failed once more without it: then the thread is given up.
//
// Asked by runner.mjs: {kind: "dry"} or {kind: "run", mutant, ids, hitLimit}; workerData: {shim, files, mutant, hitLimit, without}.
import { parentPort, workerData } from "node:worker_threads";

/** Mutants of a part, at most; each has a place among the hits. */
const MOST_MUTANTS = 1 << 16;
const NONE = -1;
const state = {
  // A mutant of code that runs while modules load has to be there before they do.
  active: workerData.mutant ?? NONE,
  hits: new Float64Array(MOST_MUTANTS),
  count: 0,
  limit: workerData.hitLimit ?? Number.POSITIVE_INFINITY,
  /** A loop that a mutant leaves without an end is left by an error. */
  hit() {
    if (++this.count > this.limit) throw new Error(`the mutant was reached ${this.count} times`);
    return true;
  },
};
globalThis.mutationState = state;

const api = await import(workerData.shim);
let unhandled;
process.on("unhandledRejection", (reason) => (unhandled ??= reason));
process.on("uncaughtException", (reason) => (unhandled ??= reason));

let tests = new Map();
const isAsked = (test) => !workerData.without.some((title) => test.id.includes(title));
let loadError;
try {
  for (const { name, path } of workerData.files) {
    tests = await api.collect(name, () => import(path));
  }
  tests = new Map([...tests].filter(([, test]) => isAsked(test)));
} catch (error) {
  loadError = String(error?.stack ?? error);
}
parentPort.postMessage({ kind: "loaded", error: loadError });

const suitesOf = (test) => {
  const list = [];
  for (let one = test.suite; one; one = one.parent) list.unshift(one);
  return list;
};

/** Runs the hooks and the body; what it threw, as text. */
async function failure(test, begun) {
  const suites = suitesOf(test);
  api.current.finished = [];
  unhandled = undefined;
  try {
    for (const suite of suites) {
      if (begun.has(suite)) continue;
      begun.add(suite);
      for (const hook of suite.beforeAll) {
        const end = await hook();
        if (typeof end === "function") suite.ends = [...(suite.ends ?? []), end];
      }
    }
    for (const suite of suites) for (const hook of suite.beforeEach) await hook();
    await test.body({ expect: api.expect, onTestFinished: api.onTestFinished });
    for (const suite of suites.toReversed()) for (const hook of suite.afterEach) await hook();
    if (unhandled) throw unhandled;
    return undefined;
  } catch (error) {
    return String(error?.message ?? error) || "failed";
  } finally {
    for (const hook of api.current.finished.toReversed()) await hook();
  }
}

async function finish(begun) {
  for (const suite of begun) {
    for (const hook of [...suite.afterAll, ...(suite.ends ?? [])]) await hook();
    suite.ends = [];
  }
}

/** Mutants that were reached since the last call, and how often. */
function takeHits() {
  const reached = {};
  for (let id = 0; id < MOST_MUTANTS; id++) if (state.hits[id] > 0) reached[id] = state.hits[id];
  state.hits.fill(0);
  return reached;
}

async function dryRun() {
  const results = [];
  const coverage = { static: takeHits(), perTest: {} };
  for (const test of tests.values()) {
    const started = process.cpuUsage();
    // Each test with the hooks of its suites, so that what only a hook reaches is known to be reached by the test.
    const begun = new Set();
    const message = await failure(test, begun);
    const { user, system } = process.cpuUsage(started);
    const timeSpentMs = (user + system) / 1000;
    await finish(begun);
    coverage.perTest[test.id] = takeHits();
    results.push({ id: test.id, name: test.name, file: test.file, timeSpentMs, message });
  }
  return { results, coverage };
}

async function mutantRun({ mutant, ids, hitLimit, isStatic }) {
  const chosen = ids ? ids.map((id) => tests.get(id)).filter(Boolean) : [...tests.values()];
  state.limit = hitLimit ?? Number.POSITIVE_INFINITY;
  state.count = 0;
  state.active = mutant;
  const begun = new Set();
  let killed;
  for (const test of chosen) {
    const message = await failure(test, begun);
    if (message !== undefined) {
      killed = { test, message };
      break;
    }
  }
  try {
    await finish(begun);
  } catch {
    // what a mutant broke may not end well
  }
  const isLimit = state.count > state.limit;
  state.active = NONE;
  if (!killed) return { status: isLimit ? "timeout" : "survived" };
  let isSpoiled = false;
  if (!isStatic) {
    const again = new Set();
    isSpoiled = (await failure(killed.test, again)) !== undefined;
    try {
      await finish(again);
    } catch {
      isSpoiled = true;
    }
  }
  if (isLimit) return { status: "timeout", isSpoiled };
  return { status: "killed", killedBy: [killed.test.id], message: killed.message, isSpoiled };
}

parentPort.on("message", async (asked) => {
  const answer = asked.kind === "dry" ? await dryRun() : await mutantRun(asked);
  parentPort.postMessage({ kind: "answer", ...answer });
});
