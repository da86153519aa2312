// The webgpu backend on this machine's GPU: decoding and reading a prompt of 512 tokens, beside what bounds them in the
// same run: the bandwidth of a kernel that copies and the time of an empty dispatch.
//
//   npm run bench -- webgpu [MODEL] [--shape NAME ...] [--tokens N] [--prompt N] [--reps N] [--json] [--write]
//
// MODEL is a name, a pack or a GGUF file; by default SmolLM2, or where it can neither be found nor fetched its shape
// with random weights. Synthetic models (scripts/bench/synthetic-shapes.mjs; default 1b) are made in memory. Needs the
// build and the package `webgpu`, in node_modules or in NODE_PATH. On a software adapter less is run.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createWebgpuRunner } from "../../dist/src/backends/webgpu/webgpu-runner.js";
import { benchPrompt, spreadOf } from "../../dist/src/cli/bench-workload.js";
import { timeBackends } from "../../dist/src/engine/backend-trial.js";
import { createEngine } from "../../dist/src/engine/create-engine.js";
import { planOpened } from "../../dist/src/engine/load-model.js";
import { openHostGpu } from "../../dist/src/engine/open-host-gpu.js";
import { openPack } from "../../dist/src/engine/open-pack.js";
import { openSourceInput } from "../../dist/src/engine/open-source-input.js";
import { openPackedSource } from "../../dist/src/engine/packed-source.js";
import { createRuntime, openNamedModel } from "../../dist/src/platform/host/create-engine.js";
import { nodeHost } from "../../dist/src/platform/node/host.js";
import { compileTokenizer } from "../../dist/src/tokenizers/compile-tokenizer.js";
import { describeMachine } from "./machine.mjs";
import { writeSection } from "./page.mjs";
import { planSynthetic } from "./synthetic-pack.mjs";
import { syntheticTokenizer } from "./synthetic-tokenizer.mjs";
import { countCommands, measureLimits } from "./webgpu/device-limits.mjs";
import { webgpuTables } from "./webgpu-report.mjs";

const MODEL = "smollm2-135m-instruct";
const MODEL_SHAPE = "135m";

/** As `pronk bench`: tokens of the prompt that is read, tokens that are decoded after a short one. */
const PREFILL = 512;
const DECODE = 128;
const SHORT_PROMPT = 13;
const CTX = 768;

/** Copies that no cache holds; on a CPU that plays a GPU less of everything. */
const LIMITS = {
  gpu: { bytes: 128 * 2 ** 20, copies: 20, dispatches: 2000, reps: 5 },
  software: { bytes: 16 * 2 ** 20, copies: 2, dispatches: 200, reps: 2 },
};
const SIZES = {
  gpu: { tokens: DECODE, prompt: PREFILL, reps: 5, shapes: ["1b"] },
  software: { tokens: 8, prompt: 32, reps: 1, shapes: ["15m"] },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    shape: { type: "string", multiple: true },
    tokens: { type: "string" },
    prompt: { type: "string" },
    reps: { type: "string" },
    json: { type: "boolean" },
    write: { type: "boolean" },
  },
});

useInstalledPackage();
const runtime = await createRuntime(nodeHost, 128);
const first = await openHostGpu(runtime.gpu, { software: true });
const kind = first.isSoftware ? "software" : "gpu";
const number = (name) => (values[name] === undefined ? SIZES[kind][name] : Number(values[name]));
const sizes = { tokens: number("tokens"), prompt: number("prompt"), reps: number("reps") };
console.error(`adapter: ${first.name}`);
if (first.isSoftware) console.error("software adapter: figures mean nothing");
const limits = await measureLimits(first.device, LIMITS[kind]);
first.device.destroy();

const models = [await namedModel(positionals[0])];
for (const shape of values.shape ?? SIZES[kind].shapes) models.push(() => syntheticModel(shape));
const rows = [];
for (const open of models) rows.push(await measure(await open()));
const document = {
  machine: describeMachine(),
  date: new Date().toISOString().slice(0, 10),
  runtime: `Node ${process.versions.node}`,
  adapter: first.name,
  software: first.isSoftware,
  ...sizes,
  limits,
  rows,
};
if (values.write && first.isSoftware) {
  console.error("bench: figures of a software adapter are not written");
  process.exitCode = 1;
} else if (values.write) for (const path of writeSection("webgpu", document)) console.error(path);
console.log(values.json ? JSON.stringify(document) : webgpuTables(document));

/** Where npm run test:webgpu puts the package, should it be nowhere else. */
function useInstalledPackage() {
  const installed = fileURLToPath(new URL("../../.cache/webgpu/node_modules", import.meta.url));
  try {
    createRequire(import.meta.url).resolve("webgpu");
  } catch {
    if (!existsSync(join(installed, "webgpu"))) return;
    process.env.NODE_PATH = [process.env.NODE_PATH, installed].filter(Boolean).join(":");
    createRequire(import.meta.url)("node:module").Module._initPaths();
  }
}

async function namedModel(name) {
  try {
    const named = await openNamedModel(nodeHost, name ?? MODEL, {});
    const { input } = named;
    const model =
      "pack" in input
        ? await openPack(input.pack)
        : await openSourceInput(input, { quantization: "auto", profile: "default" });
    return async () => ({ model, name: model.facts.name, close: () => named.close() });
  } catch (error) {
    if (name !== undefined) throw error;
    console.error(`${MODEL}: ${error.message}; its shape with random weights instead`);
    return () => syntheticModel(MODEL_SHAPE);
  }
}

/** The pack that `npm run bench -- scaling` would write, never written. */
async function syntheticModel(shape) {
  const { name, config, entries, pre } = planSynthetic(shape);
  const { metadata, bos, eos } = syntheticTokenizer(config.vocab_size, pre);
  const facts = {
    name,
    license: null,
    generation_config: { bos_token_id: bos, eos_token_id: eos },
    chat_template: null,
    quantization: { requested: "auto", profile: "default", kv: "int16" },
    source: { name, bytes: 0, sha256: null },
  };
  const compile = async () => compileTokenizer(metadata);
  const source = { facts, config, manifestConfig: config, entries, compileTokenizer: compile };
  return { model: openPackedSource(source), name, close: async () => {} };
}

async function measure({ model, name, close }) {
  console.error(`loading ${name}`);
  const gpu = await openHostGpu(runtime.gpu, { software: true });
  const beside = await timeBackends(model, gpu, runtime);
  const { plan, runner: planned } = planOpened(model, { slots: 1, ctx: CTX }, gpu);
  const started = performance.now();
  const runner = await createWebgpuRunner(plan, model.tensors, model.weightBytes, gpu, planned);
  await model.loadWeights(runner.image);
  const tokenizer = await model.loadTokenizer();
  const load_ms = performance.now() - started;
  await close();
  const { backend, kernel, ctx, slots, vocab, memory } = runner;
  const info = { id: name, created: 0, backend, kernel, threads: 1, ctx, slots, vocab, memory };
  const loaded = { runner, tokenizer, info: { ...info, fingerprint: "bench" } };
  const engine = createEngine(loaded, runtime, { speculate: "off" });
  const generate = (length, max_tokens, salt) =>
    engine.generate({
      prompt_ids: benchPrompt(length, vocab, salt),
      max_tokens,
      temperature: 0,
      ignore_eos: true,
    });
  console.error(`measuring ${name}`);
  try {
    // Compiles what both need.
    await generate(SHORT_PROMPT, 2, 1);
    await generate(sizes.prompt, 1, 2);
    const [decode, prefill] = [[], []];
    for (let rep = 0; rep < sizes.reps; rep++) {
      const { timings: read } = await generate(sizes.prompt, 1, 3 + 2 * rep);
      prefill.push((1000 * (read.prompt_n - read.cached_n)) / read.prompt_ms);
      const { timings: written } = await generate(SHORT_PROMPT, sizes.tokens, 4 + 2 * rep);
      decode.push((1000 * (written.predicted_n - 1)) / written.predicted_ms);
    }
    const counted = await countToken(generate, gpu.device, sizes.reps);
    const bytes = bytesRead(model, plan);
    const bound = Math.min(
      limits.bandwidth / bytes,
      1000 / (counted.dispatches * limits.dispatch_ms),
    );
    const decode_tps = spreadOf(decode);
    return {
      model: name,
      weights: model.weightBytes,
      kernel,
      load_ms,
      decode_tps,
      prefill_tps: spreadOf(prefill),
      bytes_read: bytes,
      ...counted,
      bound_tps: bound,
      share: decode_tps.median / bound,
      trial: beside,
    };
  } finally {
    await engine.dispose();
    gpu.device.destroy();
  }
}

/** Commands of a decoded token: the difference of two generations, without their prompts. */
async function countToken(generate, device, reps) {
  const counts = countCommands(device);
  const [few, many] = [4, 4 + 2 * Math.max(4, Math.min(32, sizes.tokens))];
  const during = async (tokens, salt) => {
    const before = { ...counts };
    await generate(SHORT_PROMPT, tokens, salt);
    return Object.fromEntries(Object.entries(counts).map(([k, n]) => [k, n - before[k]]));
  };
  const [short, long] = [await during(few, 4 + 2 * reps), await during(many, 5 + 2 * reps)];
  return Object.fromEntries(
    Object.keys(counts).map((key) => [key, (long[key] - short[key]) / (many - few)]),
  );
}

/** Of weights, for one token: all but a table whose rows are looked up. */
function bytesRead({ tensors, config, weightBytes }) {
  if (config.tie_word_embeddings) return weightBytes;
  const table = tensors.find(({ name }) => name === "model.embed_tokens.weight");
  return weightBytes - table.bytes;
}
