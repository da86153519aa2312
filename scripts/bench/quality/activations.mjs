// What rounding activations to int8 costs, by the way of rounding: a simulation on f32 weights.
//
//   node scripts/bench/quality/activations.mjs MODEL [TOKENS]
//
// Before each matrix product its input is replaced by what the rounding keeps of it. Prints the mean
// KL divergence from f32 over the first tokens of the two texts that forms are chosen by.
import { readFileSync } from "node:fs";
import { compareRunners } from "./compare.mjs";
import { createRunner, openForm, openSource } from "./models.mjs";

const BLOCK = 32;
const CALIBRATION_TOKENS = 256;
const text = (name) =>
  readFileSync(new URL(`../../../tests/data/quality/${name}.txt`, import.meta.url), "utf8");

/** Rounds x[start ... start + size) to int8 with one scale, in place. @returns the largest magnitude */
function round(x, start, size) {
  let largest = 0;
  for (let i = start; i < start + size; i++) largest = Math.max(largest, Math.abs(x[i]));
  const scale = largest / 127;
  if (scale > 0) for (let i = start; i < start + size; i++) x[i] = Math.round(x[i] / scale) * scale;
  return largest;
}

const inBlocksOf = (size) => (x) => {
  for (let start = 0; start < x.length; start += size) round(x, start, size);
};

/** Rounds in blocks of 32, then adds what was lost in some blocks, rounded in the same way. */
function withResiduals(x, choose) {
  const exact = x.slice();
  const largest = [];
  for (let start = 0; start < x.length; start += BLOCK) largest.push(round(x, start, BLOCK));
  for (const block of choose(largest)) {
    const at = block * BLOCK;
    const lost = x.subarray(at, at + BLOCK).map((value, i) => exact[at + i] - value);
    round(lost, 0, BLOCK);
    for (let i = 0; i < BLOCK; i++) x[at + i] += lost[i];
  }
}

const largestFirst = (values, count) =>
  [...values.keys()].sort((a, b) => values[b] - values[a]).slice(0, count);

/** In every row the blocks with the largest scales. */
const residuals = (count) => (x) => withResiduals(x, (largest) => largestFirst(largest, count));

/** For every matrix the blocks whose scales were largest in another text: the same for all rows. */
const fixedResiduals = (count) => (x, weight) =>
  withResiduals(x, () => largestFirst(scales.get(weight), count));

const only = (part, rounding) => (x, weight) => {
  if (part.test(weight)) rounding(x, weight);
};

const CASES = {
  "blocks of 32": inBlocksOf(BLOCK),
  "blocks of 16": inBlocksOf(16),
  "32, and the residual of 1 block a row": residuals(1),
  "32, and the residuals of 2 blocks a row": residuals(2),
  "32, and the residuals of 4 blocks a row": residuals(4),
  "32, and the residual of 1 fixed block": fixedResiduals(1),
  "32, and the residuals of 2 fixed blocks": fixedResiduals(2),
  "32, only q, k, v": only(/q_proj/, inBlocksOf(BLOCK)),
  "32, only o": only(/o_proj/, inBlocksOf(BLOCK)),
  "32, only gate, up": only(/gate_proj/, inBlocksOf(BLOCK)),
  "32, only down": only(/down_proj/, inBlocksOf(BLOCK)),
  "32, only head": only(/embed_tokens|lm_head/, inBlocksOf(BLOCK)),
};

const [path, tokens = "512"] = process.argv.slice(2);
const source = await openSource(path);
const model = await openForm(source, { quantization: "none", profile: "default" });
const tokenizer = await model.loadTokenizer();

/** By a product's first matrix: each block's sum of squared scales. */
const scales = new Map();
let rounding = learnScales;
function learnScales(x, weight) {
  const sums = scales.get(weight) ?? new Float64Array(x.length / BLOCK);
  scales.set(weight, sums);
  for (let b = 0; b < sums.length; b++)
    sums[b] += round(x.slice(b * BLOCK, (b + 1) * BLOCK), 0, BLOCK) ** 2;
}
const observe = ({ step, input, rows, stride }) => {
  const weight = step.parts[0].weight;
  for (let r = 0; r < rows; r++)
    rounding(input.subarray(r * stride, r * stride + step.cols), weight);
};
const { runner: reference } = await createRunner(model.config, model.entries, "f32");
const { runner } = await createRunner(model.config, model.entries, "f32", { observe });
await compareRunners(
  runner,
  [],
  tokenizer.encode(text("calibration")).slice(0, CALIBRATION_TOKENS),
);

const texts = ["novel", "code"].map((name) =>
  tokenizer.encode(text(name)).slice(0, Number(tokens)),
);
for (const [name, way] of Object.entries(CASES)) {
  rounding = way;
  const kls = [];
  for (const ids of texts) kls.push((await compareRunners(reference, [runner], ids))[1].kl);
  console.log(`${name.padEnd(42)} ${kls.map((kl) => kl.toFixed(5)).join("  ")}`);
}
