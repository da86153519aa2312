/**
 * What tokenizers cost: reading files, memory kept, MB/s on English, encoding and decoding.
 *
 *   node scripts/real-tokenizers.mjs && node --expose-gc scripts/bench/tokenizers.mjs
 *
 * Over the built package. English is the novel and the essays of tests/data/quality, 4 MB of them.
 */
import { readFileSync } from "node:fs";
import { LlamaTokenizerFast, tokenizerFromTiktoken } from "../../dist/src/platform/node/index.js";

const FOLDER = ".cache/real-tokenizers";
const ROUNDS = 5;
const TEXT_BYTES = 4_000_000;

const parts = ["novel", "optics"].map((name) =>
  readFileSync(`tests/data/quality/${name}.txt`, "utf8"),
);
let text = "";
while (text.length < TEXT_BYTES) text += parts.join("\n");
const megabytes = Buffer.byteLength(text) / 1e6;

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function timed(run) {
  const times = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return median(times);
}

function usedMegabytes() {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1e6;
}

async function measure(name, file, load, encode, decode, call) {
  const bytes = new Uint8Array(readFileSync(`${FOLDER}/${file}`));
  const build = await timed(() => load(bytes));
  const before = usedMegabytes();
  const tokenizer = await load(bytes);
  const kept = usedMegabytes() - before;
  const ids = encode(tokenizer, text);
  const encoding = await timed(() => encode(tokenizer, text));
  const decoding = await timed(() => decode(tokenizer, ids));
  const calling = await timed(() => call(tokenizer, text));
  console.log(
    `${name}: build ${build.toFixed(0)} ms, keeps ${kept.toFixed(1)} MB, ` +
      `encodes ${((megabytes / encoding) * 1000).toFixed(1)} MB/s, ` +
      `with masks and offsets ${((megabytes / calling) * 1000).toFixed(1)} MB/s, ` +
      `decodes ${((megabytes / decoding) * 1000).toFixed(1)} MB/s (${ids.length} tokens)`,
  );
}

const options = { return_offsets_mapping: true, return_special_tokens_mask: true };

await measure(
  "Llama 3, tiktoken file, 128,256 tokens",
  "llama3.model",
  (bytes) => tokenizerFromTiktoken(bytes),
  (tokenizer, input) => tokenizer.encode(input),
  (tokenizer, ids) => tokenizer.decode(ids),
  (tokenizer, input) => tokenizer.call(input, options),
);
await measure(
  "Llama 2, tokenizer.json, 32,000 tokens",
  "llama2/tokenizer.json",
  (tokenizer_file) => new LlamaTokenizerFast({ tokenizer_file }),
  (tokenizer, input) => tokenizer.encode(input),
  (tokenizer, ids) => tokenizer.decode(ids),
  (tokenizer, input) => tokenizer.call(input, options),
);
