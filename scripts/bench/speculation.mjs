// Decoding with and without tokens run ahead, on texts that repeat their prompt and on one that does
// not. The output is the same; what differs is the time.
//
//   npm run bench -- speculation [MODEL] [--rounds N] [--max-tokens N] [--draft MODEL] [--core N] [--json]
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { spreadOf } from "../../dist/src/cli/bench-workload.js";
import { createEngine } from "../../dist/src/engine/create-engine.js";
import { createRuntime, loadNamedModel } from "../../dist/src/platform/host/create-engine.js";
import { nodeHost } from "../../dist/src/platform/node/host.js";
import { encodeChat } from "../../dist/src/server/chat-prompt.js";
import { describeMachine, pinnedCore } from "./machine.mjs";

const CTX = 1024;

const PASSAGE = `The lighthouse keeper climbed the narrow stairs every evening at six. He carried a lantern, a \
loaf of bread and a small brown notebook. In the notebook he wrote the names of the ships that passed, the \
direction of the wind and the colour of the sea. When the fog came in from the north, he rang the great bell \
every two minutes until the morning. In thirty years he had never missed a night.`;

const CODE = `def total_price(items, tax_rate):
    total = 0
    for item in items:
        total = total + item.price * item.quantity
    total = total * (1 + tax_rate)
    return total

def average_price(items):
    count = 0
    total = 0
    for item in items:
        total = total + item.price
        count = count + 1
    return total / count
`;

/** Prompts: messages for the chat template, or text to go on from; and what is expected, if told. */
const TEXTS = [
  { name: "goes on from a quotation", text: `${PASSAGE}\n\n${PASSAGE}\n\n${PASSAGE.slice(0, 80)}` },
  { name: "repeats the prompt's text", chat: `Repeat the following text exactly:\n\n${PASSAGE}` },
  {
    name: "the same, as a prediction",
    chat: `Repeat the following text exactly:\n\n${PASSAGE}`,
    prediction: PASSAGE,
  },
  { name: "edits the prompt's code", chat: `Rename total to amount in this code:\n\n${CODE}` },
  { name: "tells a story", chat: "Write a story about a dragon who learns to bake bread." },
  {
    name: "the same, sampled",
    chat: "Write a story about a dragon who learns to bake bread.",
    temperature: 0.8,
  },
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    "max-tokens": { type: "string", default: "128" },
    draft: { type: "string" },
    core: { type: "string" },
    pinned: { type: "boolean" },
    json: { type: "boolean" },
  },
});

if (values.pinned) await measure();
else runPinned();

/** This script again, on one core, so that what is measured does not move. */
function runPinned() {
  const core = pinnedCore(values.core);
  const own = [fileURLToPath(import.meta.url), ...process.argv.slice(2), "--pinned"];
  const [program, ...args] =
    core === undefined
      ? [process.execPath, ...own]
      : ["taskset", "-c", `${core}`, process.execPath, ...own];
  const { status } = spawnSync(program, args, { stdio: "inherit" });
  process.exitCode = status ?? 1;
}

async function measure() {
  const name = positionals[0] ?? process.env.PRONK_TEST_MODEL ?? "smollm2-135m-instruct";
  const rounds = Number(values.rounds);
  const maxTokens = Number(values["max-tokens"]);
  const off = await open(name, "off");
  const on = await open(name, values.draft === undefined ? "lookup" : "draft");
  const results = [];
  for (const text of TEXTS) {
    const samples = { off: [], on: [], ratio: [] };
    let last;
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      const order = round % 2 ? [off, on] : [on, off];
      const found = new Map();
      for (const engine of order) found.set(engine, await decode(engine, text, maxTokens));
      const [without, with_] = [found.get(off), found.get(on)];
      if (without.ids.join() !== with_.ids.join()) throw new Error(`${text.name}: other tokens`);
      last = with_;
      if (round === 0) continue;
      samples.off.push(without.tps);
      samples.on.push(with_.tps);
      samples.ratio.push(with_.tps / without.tps);
    }
    const { draft_n, draft_n_accepted, predicted_n } = last.timings;
    results.push({
      text: text.name,
      tokens: predicted_n,
      proposed: draft_n,
      accepted: draft_n_accepted,
      off_tps: spreadOf(samples.off),
      on_tps: spreadOf(samples.on),
      ratio: spreadOf(samples.ratio),
    });
  }
  const head = {
    model: off.info.id,
    runtime: `Node ${process.versions.node}`,
    kernel: off.info.kernel,
    speculate: values.draft === undefined ? "lookup" : `draft ${values.draft}`,
    rounds,
    machine: describeMachine(),
  };
  if (values.json) console.log(JSON.stringify({ ...head, results }));
  else print(head, results);
  await off.dispose();
  await on.dispose();
}

async function open(name, kind) {
  const runtime = await createRuntime(nodeHost, "auto");
  const load = (model, speculate) =>
    loadNamedModel(nodeHost, model, runtime, { ctx: CTX, slots: 1, speculate });
  const model = await load(name, kind === "off" ? "off" : "lookup");
  const speculate = kind === "draft" ? { draft: await load(values.draft, "off") } : kind;
  return createEngine(model, runtime, { speculate });
}

async function decode(engine, { chat, text, prediction, temperature = 0 }, max_tokens) {
  const { tokenizer, template } = engine;
  const prompt_ids =
    chat === undefined
      ? tokenizer.encode(text)
      : encodeChat(template, tokenizer, [{ role: "user", content: chat }]);
  const more =
    prediction === undefined
      ? {}
      : { prediction_ids: tokenizer.encode(prediction, { addSpecialTokens: false }) };
  const request = { prompt_ids, max_tokens, temperature, seed: 7, ignore_eos: true, ...more };
  const { ids, timings } = await engine.generate(request);
  // The first token is the prompt's.
  return { ids, timings, tps: ((timings.predicted_n - 1) * 1000) / timings.predicted_ms };
}

function print({ model, runtime, kernel, speculate, rounds, machine }, results) {
  const figure = ({ median, min, max }, digits = 1) =>
    `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
  console.log(
    `${model}, ${runtime}, ${kernel} kernels, ${machine.cpu}, ${rounds} rounds, ${speculate}\n`,
  );
  console.log("| text | tokens | proposed | accepted | off, tok/s | on, tok/s | on / off |");
  console.log("|---|---:|---:|---:|---:|---:|---:|");
  for (const r of results) {
    const speeds = [figure(r.off_tps), figure(r.on_tps), figure(r.ratio, 2)];
    console.log(`| ${[r.text, r.tokens, r.proposed, r.accepted, ...speeds].join(" | ")} |`);
  }
}
