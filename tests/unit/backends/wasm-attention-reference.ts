/**
 * Plain attention in f64 over what the cache holds, and how far a kernel's output may be from it.
 *
 * With e = 2^-24, A = scale * sum |q k| and n visible keys, worst cases:
 *   score   integer types: rounding q to integers, scale * (max |q| / qMax) / 2 * sum |k|, and 8 e A;
 *           float types: (headDim + 4) e A; the difference to the largest score: 4 e times the largest
 *   p       that error twice, and 2e-7 of the exponential
 *   out     p's error twice (numerator and sum), (n + 16) e for the sums; integer types: half a unit
 *           of each p, its block's largest p * scale / pMax, times |integer of v|
 */
import { type AttentionCase, KV } from "./wasm-attention-kernels.ts";

const E = 2 ** -24;

/** The kernels divide by a unit that is itself rounded: half a unit becomes a little more. */
const HALF = 0.505;

export interface Expected {
  /** (headDim,) */
  readonly out: Float64Array;
  readonly tolerance: Float64Array;
}

export function referenceAttention(test: AttentionCase, position: number, head: number): Expected {
  const { kv, heads, kvHeads, headDim } = test.shape;
  const { pMax, block, qMax } = KV[kv];
  const integer = pMax > 0;
  const kvHead = Math.floor(head / (heads / kvHeads));
  const n = position + 1;
  const q = test.query(position, head);
  const keys = test.decoded("k", n, kvHead);
  const values = test.decoded("v", n, kvHead);

  const unit = integer ? Math.max(...q.map(Math.abs)) / qMax(headDim) : 0;
  let scoreError = 0;
  const scores = keys.map((k) => {
    let sum = 0;
    let size = 0;
    let keySize = 0;
    for (let d = 0; d < headDim; d++) {
      sum += q[d] * k[d];
      size += Math.abs(q[d] * k[d]);
      keySize += Math.abs(k[d]);
    }
    const rounding = integer ? HALF * unit * keySize + 8 * E * size : (headDim + 4) * E * size;
    scoreError = Math.max(scoreError, test.scale * rounding + 4 * E * test.scale * Math.abs(sum));
    return sum * test.scale;
  });
  const max = scores.reduce((a, b) => Math.max(a, b));
  const p = scores.map((score) => Math.exp(score - max));
  const total = p.reduce((a, b) => a + b);
  const relative = 2 * (2 * scoreError + 2e-7) + 2 * (n + 16) * E;

  const out = new Float64Array(headDim);
  const tolerance = new Float64Array(headDim).fill(1e-25);
  const vectorScales = values.map((_, t) => test.stored("v", t, kvHead, 0)[1]);
  for (let start = 0; start < n; start += integer ? block : n) {
    const end = Math.min(n, start + (integer ? block : n));
    let top = 0;
    for (let t = start; integer && t < end; t++) top = Math.max(top, p[t] * vectorScales[t]);
    for (let t = start; t < end; t++)
      for (let d = 0; d < headDim; d++) {
        const v = values[t][d];
        out[d] += (p[t] * v) / total;
        tolerance[d] += (relative * p[t] * Math.abs(v)) / total;
        if (integer) {
          const integerOfV = vectorScales[t] > 0 ? Math.abs(v) / vectorScales[t] : 0;
          tolerance[d] += (HALF * (top / pMax) * integerOfV * (1 + relative)) / total;
        }
      }
  }
  return { out, tolerance };
}
