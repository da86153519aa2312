// What dividing a model costs: the time of a token over stages beside what the stages compute, in a local workerd (a script each,
// every one under 128 MB) and between processes of Node over WebSocket, beside one process; with the same tokens.
//
//   npm run bench -- stages [--shape NAME] [--rounds N] [--json] [--write]
//
// A synthetic model of the shape of Llama 3.2 1B is made below .cache/bench-scaling when it is not there.
// The newer Node runs it: what starts workerd is TypeScript.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { benchPrompt, spreadOf } from "../../dist/src/cli/bench-workload.js";
import { findRuntime } from "../../dist/src/cli/runtimes.js";
import { describeMachine, pinnedCore } from "./machine.mjs";
import { writeSection } from "./page.mjs";
import { stagesTables } from "./stages-report.mjs";
import { makeSyntheticPack } from "./synthetic-pack.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const NODE = { program: process.execPath, args: [here("../../dist/src/cli/main.js")] };

/** What a Worker's isolate leaves beside JavaScript: as `pronk deploy` plans. */
const STAGE_BYTES = 108_000_000;
const CTX = 512;
const PROMPT = 16;
/** The difference of two answers leaves out the prompt, the opening of sessions and HTTP. */
const [FEW, MANY] = [8, 40];
/** Hosts of the WebSocket run. */
const PARTS = 3;
const ASK_MS = 300_000;

/** Others are asked for longer than servers keep a connection: one that is taken as it is closed is an error. */
const ON_ITS_OWN = { connection: "close" };

const { values } = parseArgs({
  options: {
    shape: { type: "string", default: "1b" },
    rounds: { type: "string", default: "3" },
    core: { type: "string" },
    pinned: { type: "boolean" },
    json: { type: "boolean" },
    write: { type: "boolean" },
  },
});

const place = (title, url, close, more = {}) => ({
  title,
  url,
  close,
  ms: [],
  computed: [],
  ...more,
});

if (values.pinned) await measure();
else {
  execFileSync(process.execPath, [here("../runtimes.mjs")], { stdio: "ignore" });
  const core = pinnedCore(values.core);
  const pin = core === undefined ? [] : ["taskset", "-c", `${core}`];
  const [program, ...args] = [...pin, findRuntime("node"), here("./stages.mjs")];
  const { status } = spawnSync(program, [...args, ...process.argv.slice(2), "--pinned"], {
    stdio: "inherit",
  });
  process.exitCode = status ?? 1;
}

async function measure() {
  const folder = here("../../.cache/bench-scaling");
  mkdirSync(folder, { recursive: true });
  const { name, path, config } = await makeSyntheticPack(values.shape, folder, console.error);
  const [one, sockets, workers] = [
    await openOne(path),
    await openSockets(path),
    await openWorkerd(path),
  ];
  const places = [one, sockets, workers];
  const prompt = benchPrompt(PROMPT, config.vocab_size, 1);
  try {
    for (let round = 0; round <= Number(values.rounds); round++) {
      for (const place of places) await sample(place, prompt, round > 0);
    }
    const tokens = new Set(places.map(({ ids }) => ids));
    if (tokens.size !== 1) throw new Error("other tokens over stages");
  } finally {
    for (const place of places) await place.close();
  }
  const document = {
    machine: describeMachine(),
    date: new Date().toISOString().slice(0, 10),
    model: name,
    runtime: `Node ${process.versions.node}`,
    rounds: Number(values.rounds),
    rows: [
      row(one, one.ms),
      // Each host computes with the same kernels as the one process: its time is what they take together.
      row(sockets, one.ms),
      row(workers, workers.computed),
    ],
    largest_stage: workers.largest,
    invocations: workers.invocations,
  };
  if (values.write) for (const path of writeSection("stages", document)) console.error(path);
  console.log(values.json ? JSON.stringify(document) : stagesTables(document));
}

/** Adds the milliseconds of a token: of all, and of what stages computed where they count it. */
async function sample(place, prompt, isKept) {
  const [few, many] = [await timed(place, prompt, FEW), await timed(place, prompt, MANY)];
  place.ids = many.ids.join();
  if (!isKept) return;
  place.ms.push((many.ms - few.ms) / (MANY - FEW));
  place.computed.push((many.computed - few.computed) / (MANY - FEW));
}

async function timed({ url, counts }, prompt, tokens) {
  const models = await fetch(`${url}/v1/models`, { headers: ON_ITS_OWN });
  const model = (await models.json()).data[0].id;
  const before = (await counts?.()) ?? 0;
  const started = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...ON_ITS_OWN },
    body: JSON.stringify({
      model,
      prompt,
      max_tokens: tokens,
      temperature: 0,
      ignore_eos: true,
      return_token_ids: true,
      speculate: false,
    }),
    signal: AbortSignal.timeout(ASK_MS),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${url}: ${JSON.stringify(answer)}`);
  const ms = performance.now() - started;
  const ids = answer.choices[0].token_ids;
  if (ids.length !== tokens) throw new Error(`${url}: ${ids.length} tokens`);
  return { ms, ids, computed: ((await counts?.()) ?? 0) - before };
}

async function openOne(pack) {
  const { startServer } = await import("../../tests/e2e/child-server.ts");
  const server = await startServer(NODE, [pack, "--ctx", `${CTX}`, "--slots", "1"]);
  return place("one process", server.url, () => server.close());
}

async function openSockets(pack) {
  const { startServer } = await import("../../tests/e2e/child-server.ts");
  const parts = [];
  for (let k = 1; k <= PARTS; k++) {
    const own = [pack, "--part", `${k}/${PARTS}`, "--ctx", `${CTX}`, "--slots", "1"];
    parts.push(await startServer(NODE, own, { command: "stage" }));
  }
  const stages = ["--stages", parts.map(({ url }) => url).join(",")];
  const front = await startServer(NODE, [pack, ...stages, "--ctx", `${CTX}`, "--slots", "1"]);
  return place(`${PARTS} processes over WebSocket`, front.url, async () => {
    for (const server of [front, ...parts]) await server.close();
  });
}

async function openWorkerd(pack) {
  const { startStagedWorkerd } = await import("../../tests/e2e/staged-workerd.ts");
  const sizes = { ctx: CTX, slots: 1, maxRows: 64, maxLogits: 1 };
  const started = await startStagedWorkerd(pack, sizes, STAGE_BYTES);
  const total = (counts, name) => counts.reduce((sum, count) => sum + count[name], 0);
  const opened = place(
    `${started.plan.stages.length} scripts of one workerd`,
    started.url,
    () => started.close(),
    {
      largest: Math.max(...started.plan.stages.map(({ memory }) => memory.total)),
      invocations: 0,
      calls: 0,
    },
  );
  opened.counts = async () => {
    const counts = await started.counts();
    const calls = total(counts, "invocations");
    // Of the generation since the last time.
    opened.invocations = Math.max(opened.invocations, calls - opened.calls);
    opened.calls = calls;
    return total(counts, "ms");
  };
  return opened;
}

function row({ title, ms }, computed) {
  return {
    title,
    ms: spreadOf(ms),
    computed: spreadOf(computed),
    more: spreadOf(ms.map((own, i) => own / computed[i] - 1)),
  };
}
