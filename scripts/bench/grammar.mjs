// What structured output costs: `npm run bench -- grammar [MODEL] [--json] [--write] [--core N]`.
//
// First use (a fresh compiler each round: the vocabulary's tree, then the schema), masks by the token beside the time of
// the token itself, and the tokens that were forced. Medians of rounds; the first warms up and does not count.
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { spreadOf } from "../../dist/src/cli/bench-workload.js";
import { createEngine } from "../../dist/src/engine/create-engine.js";
import { Constraint } from "../../dist/src/generate/constraint.js";
import { GrammarCompiler } from "../../dist/src/grammar/grammar-compiler.js";
import { createRuntime, loadNamedModel } from "../../dist/src/platform/host/create-engine.js";
import { nodeHost } from "../../dist/src/platform/node/host.js";
import { encodeChat } from "../../dist/src/server/chat-prompt.js";
import { grammarTables } from "./grammar-report.mjs";
import { SCHEMAS } from "./grammar-schemas.mjs";
import { describeMachine } from "./machine.mjs";
import { writeSection } from "./page.mjs";

const ROUNDS = 7;
const LLAMA3 = ".cache/real-tokenizers/llama3.model";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean" }, write: { type: "boolean" } },
});

const median = (list) => spreadOf(list).median;

/** A vocabulary without its tokenizer: what grammars are compiled over. */
function tiktokenVocabulary(path) {
  const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
  const texts = lines.map((line) => Buffer.from(line.split(" ")[0], "base64"));
  const offsets = new Uint32Array(texts.length + 1);
  for (const [id, { length }] of texts.entries()) offsets[id + 1] = offsets[id] + length;
  const bytes = new Uint8Array(Buffer.concat(texts));
  return {
    vocabSize: texts.length,
    specialIds: () => [],
    allTokenBytes: () => ({ offsets, bytes }),
  };
}

/** In milliseconds: the tree; by schema the first compilation, and all masks of an example the first time. */
function firstUse(tokenizer) {
  const tree = [];
  const schemas = new Map(Object.keys(SCHEMAS).map((name) => [name, { compile: [], masks: [] }]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, { schema, example }] of Object.entries(SCHEMAS)) {
      const grammars = new GrammarCompiler(tokenizer);
      let started = performance.now();
      grammars.check({ type: "choice", choices: ["a"] });
      if (round > 0) tree.push(performance.now() - started);
      started = performance.now();
      const matcher = grammars.matcher({ type: "json_schema", schema });
      const compile = performance.now() - started;
      const allowed = new Uint32Array(Math.ceil(tokenizer.vocabSize / 32));
      started = performance.now();
      for (const byte of new TextEncoder().encode(JSON.stringify(example))) {
        matcher.addAllowed(allowed);
        matcher.accept(Uint8Array.of(byte));
      }
      if (round === 0) continue;
      schemas.get(name).compile.push(compile);
      schemas.get(name).masks.push(performance.now() - started);
    }
  }
  return {
    tokens: tokenizer.vocabSize,
    tree_ms: median(tree),
    schemas: Object.fromEntries(
      [...schemas].map(([name, { compile, masks }]) => [
        name,
        { compile_ms: median(compile), masks_ms: median(masks) },
      ]),
    ),
  };
}

let maskMs = 0;
let masks = 0;
for (const method of ["mask", "accept", "nextForced"]) {
  const original = Constraint.prototype[method];
  Constraint.prototype[method] = function timed(...args) {
    const started = performance.now();
    const result = original.apply(this, args);
    maskMs += performance.now() - started;
    if (method === "mask") masks++;
    return result;
  };
}

/** Answers to a question under each schema, and the same number of tokens without one. */
async function decoding(engine) {
  const { tokenizer, template } = engine;
  const runs = new Map(Object.keys(SCHEMAS).map((name) => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, { schema, question }] of Object.entries(SCHEMAS)) {
      const prompt_ids = encodeChat(template, tokenizer, [{ role: "user", content: question }]);
      const request = { prompt_ids, temperature: 0.7, seed: 3, max_tokens: 160 };
      [maskMs, masks] = [0, 0];
      const grammar = { type: "json_schema", schema };
      const { ids, timings } = await engine.generate({ ...request, grammar });
      const [spent, chosen] = [maskMs, masks];
      const same = { ...request, max_tokens: ids.length, ignore_eos: true };
      const plain = await engine.generate(same);
      if (round === 0) continue;
      runs.get(name).push({
        tokens: ids.length,
        forced: ids.length - chosen,
        ms: timings.predicted_ms / ids.length,
        plain_ms: plain.timings.predicted_ms / ids.length,
        mask_ms: spent / ids.length,
      });
    }
  }
  const rows = {};
  for (const [name, all] of runs) {
    rows[name] = Object.fromEntries(
      Object.keys(all[0]).map((key) => [key, median(all.map((run) => run[key]))]),
    );
  }
  return rows;
}

const runtime = await createRuntime(nodeHost, "auto");
const name = positionals[0] ?? "smollm2-135m-instruct";
const model = await loadNamedModel(nodeHost, name, runtime, {
  ctx: 1024,
  slots: 1,
  speculate: "off",
});
const engine = createEngine(model, runtime, { speculate: "off" });
const decode = await decoding(engine);
const vocabularies = { [engine.info.id]: firstUse(engine.tokenizer) };
if (existsSync(LLAMA3)) vocabularies["Llama 3"] = firstUse(tiktokenVocabulary(LLAMA3));
await engine.dispose();

const document = {
  machine: describeMachine(),
  date: new Date().toISOString().slice(0, 10),
  runtime: `Node ${process.versions.node}`,
  kernel: engine.info.kernel,
  rounds: ROUNDS,
  vocabularies,
  decode,
};
if (values.write) for (const path of writeSection("grammar", document)) console.error(path);
console.log(values.json ? JSON.stringify(document) : grammarTables(document));
