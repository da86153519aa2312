/**
 * Where the time of a prompt and of a token goes: `npm run bench -- profile [MODEL] [--json] [--write]`.
 *
 * Every kernel call is timed by a wrapper around the modules' exports (some 0.1 us a call, measured and taken
 * off); what is left of a step is the engine's own: plan, sampler, stream. The work is that of
 * `pronk bench`: a prompt of 512 tokens, 128 steps after one of 13. Figures are medians of repetitions.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import {
  BENCH_CTX,
  benchPrompt,
  DECODE_PROMPT_TOKENS,
  DECODE_STEPS,
  PREFILL_TOKENS,
  spreadOf,
} from "../../dist/src/cli/bench-workload.js";
import { createEngine } from "../../dist/src/engine/create-engine.js";
import { planModel } from "../../dist/src/engine/load-model.js";
import { paddedRows } from "../../dist/src/pack/forms.js";
import {
  createRuntime,
  loadNamedModel,
  openNamedModel,
} from "../../dist/src/platform/host/create-engine.js";
import { nodeHost } from "../../dist/src/platform/node/host.js";
import { describeMachine } from "./machine.mjs";
import { writeSection } from "./page.mjs";
import { profileTable } from "./profile-report.mjs";

const REPS = 5;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean" }, write: { type: "boolean" }, kernel: { type: "string" } },
});

/** Calls and milliseconds by what they are for. */
let spent = new Map();
const shapes = new Map();

function label(kernel, args) {
  if (kernel.startsWith("attention_")) return "attention";
  if (/^(gemv|gemm|matmul)_/.test(kernel)) {
    // gemv (y, w, a, rows, cols), gemm (y, w, a, scratch, tokens, rows, cols), matmul (y, w, x, tokens, rows, cols)
    const at = { gemv: 3, gemm: 5, matmul: 4 }[kernel.slice(0, kernel.indexOf("_"))];
    return shapes.get(`${args[at]} x ${args[at + 1]}`) ?? "products";
  }
  if (kernel.startsWith("rms_norm")) return "norm and quantize";
  if (kernel.startsWith("swiglu")) return "SwiGLU and quantize";
  if (kernel === "quantize") return "quantize";
  if (/^(rope|kv_store)/.test(kernel)) return "RoPE, K/V store";
  return "embedding, arg max";
}

/** The cost of the wrapper itself, in ms a call. */
let wrapperMs = 0;

function timed(kernel, call) {
  return (...args) => {
    const started = performance.now();
    const result = call(...args);
    const ms = performance.now() - started;
    const key = label(kernel, args);
    const entry = spent.get(key) ?? { calls: 0, ms: 0 };
    entry.calls++;
    entry.ms += ms;
    spent.set(key, entry);
    return result;
  };
}

const { Instance } = WebAssembly;
WebAssembly.Instance = function instantiate(module, imports) {
  const { exports } = new Instance(module, imports);
  const entries = Object.entries(exports).map(([name, value]) => [
    name,
    typeof value === "function" ? timed(name, value) : value,
  ]);
  return { exports: Object.fromEntries(entries) };
};

function calibrate() {
  const nothing = timed("rope", () => 0);
  for (let i = 0; i < 20_000; i++) nothing(1, 2, 3, 4, 5, 6);
  const started = performance.now();
  for (let i = 0; i < 20_000; i++) nothing(1, 2, 3, 4, 5, 6);
  wrapperMs = (performance.now() - started) / 20_000;
}

/** Milliseconds of one run by label, what the kernels left of it under "engine". */
async function measure(work) {
  const runs = [];
  for (let rep = 0; rep <= REPS; rep++) {
    spent = new Map();
    const { ms, units } = await work(rep);
    const parts = new Map();
    let kernels = 0;
    for (const [key, { calls, ms: used }] of spent) {
      parts.set(key, used / units);
      kernels += used + calls * wrapperMs;
    }
    parts.set("engine", Math.max(0, ms - kernels) / units);
    if (rep > 0) runs.push(parts); // the first is the compiler's
  }
  const keys = [...runs[0].keys()];
  return new Map(keys.map((key) => [key, spreadOf(runs.map((run) => run.get(key) ?? 0)).median]));
}

const runtime = await createRuntime(nodeHost, "auto");
const name = positionals[0] ?? "smollm2-135m-instruct";
const named = await openNamedModel(nodeHost, name, {});
const { config, plan } = await planModel(named.input);
await named.close?.();

/** The rows of a product as kernels see them: parts that lie together are one. */
function rowsOf(step) {
  return step.parts.reduce((sum, { rows }) => sum + paddedRows(rows), 0);
}
for (const [what, out] of [
  ["q, k, v", "qkv"],
  ["gate, up", "gateUp"],
]) {
  const step = plan.steps.find((one) => one.op === "matmul" && one.out === out);
  shapes.set(`${rowsOf(step)} x ${step.cols}`, what);
}
const dim = paddedRows(config.hidden_size);
shapes.set(`${dim} x ${config.num_attention_heads * config.head_dim}`, "attention output");
shapes.set(`${dim} x ${config.intermediate_size}`, "down");
shapes.set(`${paddedRows(config.vocab_size)} x ${config.hidden_size}`, "head");

calibrate();
const model = await loadNamedModel(nodeHost, name, runtime, {
  ctx: BENCH_CTX,
  slots: 1,
  kernel: options.kernel,
  speculate: "off", // a token at a time
});
const engine = createEngine(model, runtime);
const { vocab } = engine.info;

const prefill = await measure(async (rep) => {
  const request = { prompt_ids: benchPrompt(PREFILL_TOKENS, vocab, rep + 1), max_tokens: 1 };
  const started = performance.now();
  await engine.generate({ ...request, temperature: 0, ignore_eos: true });
  return { ms: performance.now() - started, units: 1 };
});
const decode = await measure(async () => {
  const prompt_ids = benchPrompt(DECODE_PROMPT_TOKENS, vocab);
  const request = { prompt_ids, max_tokens: DECODE_STEPS + 1, temperature: 0, ignore_eos: true };
  let started;
  for await (const _ of engine.stream(request)) {
    if (started === undefined) {
      spent = new Map(); // what the prompt took
      started = performance.now();
    }
  }
  return { ms: performance.now() - started, units: DECODE_STEPS };
});
await engine.dispose();

const document = {
  machine: describeMachine(),
  date: new Date().toISOString().slice(0, 10),
  runtime: `Node ${process.versions.node}`,
  kernel: engine.info.kernel,
  prompt: PREFILL_TOKENS,
  reps: REPS,
  prefill_ms: Object.fromEntries(prefill),
  decode_ms: Object.fromEntries(decode),
};
if (options.write) for (const path of writeSection("profile", document)) console.error(path);
console.log(options.json ? JSON.stringify(document) : profileTable(document));
