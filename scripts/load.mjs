// Open-loop load on `pronk serve` and on the deployable Worker, from what they can do to ten times as much.
//
//   npm run test:load [-- --short] [--only node,workerd,clients,leak] [--plant BYTES] [--json] [--write]
//
// Ten minutes; --short is a minute each, and a part that fails there is run once more: seconds of a shared machine waver.
// Fails on ratios, counts, bounds and slopes; times are printed and never asserted. --plant keeps so many bytes of each
// request, which the leak test has to find. --write puts the figures into docs/load.json, beside those of parts that were
// not run. Needs the build and SmolLM2 (PRONK_TEST_MODEL, else it is pulled).
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine } from "./bench/machine.mjs";
import { createChecks } from "./load/checks.mjs";
import { fairness, obeying } from "./load/fairness.mjs";
import { chatJob } from "./load/jobs.mjs";
import { leak } from "./load/leak.mjs";
import { overload } from "./load/overload.mjs";
import { rough } from "./load/rough.mjs";
import { PROBED, startNode, startWorker } from "./load/servers.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const PARTS = ["node", "workerd", "clients", "leak"];
const STEP_MS = 600_000;
/** The server's own bound on the time in its queue. */
const WAIT_MS = 10_000;
/** `pronk serve`'s. */
const QUEUE = 64;
const SLOTS = 4;
/** Of one layer, with a vocabulary of 1,256: what is measured is the server. */
const TINY = join(root, "tests/goldens/tokenizers/tok_bpe.gguf");
const TINY_ID = "golden-tok-bpe";
const MODEL_ID = "smollm2-135m-instruct";
const SNAPSHOT_TEXT = "river stone cloud horse window paper green seven";
const KEYS = ["flood", "quiet"];

const { values } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    only: { type: "string", default: PARTS.join() },
    plant: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
const parts = values.only.split(",");
const unknown = parts.filter((part) => !PARTS.includes(part));
if (unknown.length > 0) throw new Error(`load: no part ${unknown}: ${PARTS.join(", ")}`);
const { short } = values;
const checks = createChecks();
const folder = mkdtempSync(join(tmpdir(), "pronk-load-"));
const document = {
  machine: describeMachine(),
  date: new Date().toISOString().slice(0, 10),
  node: process.versions.node,
  short,
};
const pronk = (...args) =>
  execFileSync(process.execPath, [join(root, "dist/src/cli/main.js"), ...args], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: STEP_MS,
  }).trim();

try {
  const run = { node, workerd, clients, leak: leaks };
  for (const part of parts) {
    const before = checks.failures.length;
    document[part] = await run[part]();
    if (!short || checks.failures.length === before) continue;
    console.log(`${part}: once more`);
    checks.failures.length = before;
    document[part] = await run[part]();
  }
  document.failures = checks.failures;
  if (values.write) keep(document);
  if (values.json) console.log(JSON.stringify(document));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const failure of checks.failures) console.log(`failed: ${failure}`);
console.log(
  checks.failures.length === 0 ? "load: all holds" : `load: ${checks.failures.length} failed`,
);
process.exitCode = checks.failures.length === 0 ? 0 : 1;

/** Parts that were not run stay as they are. */
function keep(document) {
  const path = join(root, "docs", "load.json");
  const known = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  writeFileSync(path, `${JSON.stringify({ ...known, ...document }, undefined, 1)}\n`);
}

function modelFile() {
  return process.env.PRONK_TEST_MODEL || pronk("pull", MODEL_ID);
}

async function node() {
  const { url, close } = await startNode(modelFile(), [], { env: { PRONK_API_KEYS: KEYS.join() } });
  const setting = { name: "node", url, keys: KEYS, waitMs: WAIT_MS };
  const job = (random) => chatJob(MODEL_ID, random, { key: KEYS[0] });
  try {
    const load = await overload(
      {
        ...setting,
        key: KEYS[0],
        job,
        streams: SLOTS,
        steps: short ? [10] : [1, 2, 4, 10],
        seconds: short ? 10 : 30,
        maxQueue: QUEUE,
        short,
      },
      checks,
    );
    const capacity = load.capacity.goodput;
    const long = (random) => chatJob(MODEL_ID, random, { prompt: 200 });
    const seconds = short ? 7 : 30;
    const { deadline_ms: deadlineMs } = load;
    const keys = await fairness(
      { ...setting, deadlineMs, job, long, capacity, seconds, short },
      checks,
    );
    return { ...load, keys };
  } finally {
    await close();
  }
}

async function workerd() {
  const { path } = JSON.parse(
    pronk("pack", modelFile(), "--budget", "128MB", "--out", join(folder, "pack"), "--json"),
  );
  const { url, version, close } = await startWorker(path);
  try {
    const results = await overload(
      {
        name: "workerd",
        url,
        job: (random) => chatJob(MODEL_ID, random, { tokens: 12 }),
        streams: 1,
        steps: short ? [10] : [1, 2, 4, 10],
        seconds: short ? 15 : 30,
        waitMs: WAIT_MS,
        maxQueue: QUEUE,
        short,
      },
      checks,
    );
    return { version, ...results };
  } finally {
    await close();
  }
}

/** Over the tiny model, whose answers are many. */
async function clients() {
  const { url, child, close } = await startNode(TINY, [], {
    env: { PRONK_API_KEYS: KEYS.join() },
    nodeArgs: PROBED,
  });
  const job = (random) => chatJob(TINY_ID, random, { tokens: 100, key: KEYS[0] });
  const setting = { name: "clients", url, child, key: KEYS[0], keys: KEYS, model: TINY_ID, job };
  try {
    const obeyed = await obeying({ ...setting, burst: 300 }, checks);
    return { obeyed, ...(await rough(setting, checks)) };
  } finally {
    await close();
  }
}

async function leaks() {
  const snapshot = join(folder, "text.snapshot");
  const prompt = join(folder, "prompt.txt");
  writeFileSync(prompt, SNAPSHOT_TEXT);
  pronk("snapshot", TINY, "--prompt", prompt, "--out", snapshot);
  const options = ["--snapshot", snapshot, "--queue", "4"];
  const env = { PRONK_API_KEYS: "key", PRONK_LOAD_LEAK: values.plant };
  const { url, child, close } = await startNode(TINY, options, { nodeArgs: PROBED, env });
  try {
    const setting = { name: "leak", url, child, key: "key", model: TINY_ID };
    return await leak(
      { ...setting, snapshot: SNAPSHOT_TEXT, requests: short ? 1000 : 2000 },
      checks,
    );
  } finally {
    await close();
  }
}
