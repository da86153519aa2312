// Several streams at once beside one: total tokens a second at positions below 256, with the same bytes;
// and what the engine adds to the kernels, which is all but the batches themselves.
//
//   npm run bench -- concurrency [MODEL] [--streams N] [--rounds N] [--core N] [--json] [--write]
//
// On this Node; with --write on this one and the newer one, and the page's section is made anew.
import { parseArgs } from "node:util";
import { benchPrompt, spreadOf } from "../../dist/src/cli/bench-workload.js";
import { createEngine } from "../../dist/src/engine/create-engine.js";
import { createRuntime, loadNamedModel } from "../../dist/src/platform/host/create-engine.js";
import { nodeHost } from "../../dist/src/platform/node/host.js";
import { concurrencyTables } from "./concurrency-report.mjs";
import { measureOnNodes } from "./on-nodes.mjs";
import { writeSection } from "./page.mjs";

const CTX = 512;
const PROMPT = 48;
const TOKENS = 160;

/** Kinds of requests: what a token costs beside its batch depends on how it is chosen. */
const KINDS = [
  { name: "greedy", temperature: 0 },
  { name: "sampled, top_p 0.9", temperature: 0.8, top_p: 0.9 },
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    streams: { type: "string", default: "8" },
    rounds: { type: "string", default: "5" },
    core: { type: "string" },
    pinned: { type: "boolean" },
    json: { type: "boolean" },
    write: { type: "boolean" },
  },
});
const streams = Number(values.streams);

if (values.pinned) await measure();
else {
  const document = measureOnNodes(import.meta.url, { core: values.core, all: values.write });
  if (values.write) for (const path of writeSection("concurrency", document)) console.error(path);
  console.log(values.json ? JSON.stringify(document) : concurrencyTables(document));
}

async function measure() {
  const name = positionals[0] ?? process.env.PRONK_TEST_MODEL ?? "smollm2-135m-instruct";
  const rounds = Number(values.rounds);
  const runtime = await createRuntime(nodeHost, "auto");
  const options = { ctx: CTX, slots: streams, speculate: "off" };
  const model = await loadNamedModel(nodeHost, name, runtime, options);
  const { runner } = model;
  const kernels = { one: [], all: [], ratio: [] };
  const results = KINDS.map(({ name }) => ({ name, one: [], all: [], ratio: [] }));
  // In turn, so that what else the machine does falls on all alike. The first round warms up.
  const engine = createEngine(model, runtime, { speculate: "off" });
  for (let round = 0; round <= rounds; round++) {
    const bound = batches(runner);
    if (round > 0) push(kernels, bound);
    for (const [k, { name: _, ...sampling }] of KINDS.entries()) {
      const found = await compare(engine, sampling, round);
      if (round > 0) push(results[k], found);
    }
  }
  const head = {
    model: model.info.id,
    runtime: `Node ${process.versions.node}`,
    kernel: model.info.kernel,
    kernel_reason: model.info.kernelReason,
    streams,
    positions: PROMPT + TOKENS,
    rounds,
  };
  const spread = ({ name, one, all, ratio }) => ({
    name,
    one_tps: spreadOf(one),
    all_tps: spreadOf(all),
    ratio: spreadOf(ratio),
  });
  const rows = [
    spread({ name: "batches alone (the kernels' bound)", ...kernels }),
    ...results.map(spread),
  ];
  console.log(JSON.stringify({ ...head, rows }));
  await engine.dispose();
}

function push(samples, { one, all }) {
  samples.one.push(one);
  samples.all.push(all);
  samples.ratio.push(all / one);
}

/** The runner by itself: batches of one row and of one a stream, at the positions that streams have. */
function batches(runner) {
  const speed = (rows) => {
    const ids = Array.from({ length: rows }, (_, i) => i + 1);
    const logitsRows = ids.map((_, i) => i);
    const steps = [];
    for (let start = PROMPT; start < PROMPT + TOKENS; start++) {
      const spans = ids.map((_, slot) => ({ slot, start, count: 1 }));
      const from = performance.now();
      runner.forward({ ids, spans, logitsRows });
      steps.push(performance.now() - from);
    }
    return (rows * 1000) / quiet(steps);
  };
  for (let slot = 0; slot < runner.slots; slot++) {
    const ids = benchPrompt(PROMPT, runner.vocab, slot);
    runner.forward({ ids, spans: [{ slot, start: 0, count: PROMPT }], logitsRows: [] });
  }
  return { one: speed(1), all: speed(streams) };
}

/** The lower quartile: what a step takes while nobody else has the core. */
function quiet(steps) {
  return [...steps].sort((a, b) => a - b)[steps.length >> 2];
}

/** Tokens a second of one stream, and of all together. */
async function compare(engine, sampling, round) {
  const requests = Array.from({ length: streams }, (_, i) => ({
    prompt_ids: benchPrompt(PROMPT, engine.info.vocab, 1 + i + streams * round),
    max_tokens: TOKENS,
    seed: i,
    ignore_eos: true,
    ...sampling,
  }));
  const alone = await run(engine, requests.slice(0, 1));
  const together = await run(engine, requests);
  if (alone.ids[0].join() !== together.ids[0].join()) throw new Error("other tokens in company");
  return { one: alone.tps, all: together.tps };
}

async function run(engine, requests) {
  const times = requests.map(() => []);
  const ids = await Promise.all(
    requests.map(async (request, i) => {
      const tokens = [];
      for await (const { token } of engine.stream(request)) {
        times[i].push(performance.now());
        tokens.push(token);
      }
      return tokens;
    }),
  );
  // Steps in which every stream gets a token: from the last first token to the first end.
  const from = Math.max(...times.map((own) => own[0]));
  const to = Math.min(...times.map((own) => own.at(-1)));
  const own = times[0].filter((ms) => ms >= from && ms <= to);
  const steps = own.slice(1).map((ms, i) => ms - own[i]);
  return { ids, tps: (requests.length * 1000) / quiet(steps) };
}
