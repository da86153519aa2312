/**
 * The operations of a Llama as plain loops: the oracle that other backends are compared with.
 * Sums run in f64 and are rounded to f32 once.
 */

/** A (rows, cols) window of f32: element (r, c) is data[offset + r * stride + c]. */
export interface Rows {
  readonly data: Float32Array;
  readonly offset: number;
  readonly stride: number;
}

/** y = x / rms(x) * weight over `dim` columns. */
export function rmsNorm(
  y: Rows,
  x: Rows,
  weight: Float32Array,
  rows: number,
  dim: number,
  eps: number,
): void {
  for (let r = 0; r < rows; r++) {
    const from = x.offset + r * x.stride;
    const to = y.offset + r * y.stride;
    let sum = 0;
    for (let i = 0; i < dim; i++) sum += x.data[from + i] ** 2;
    const scale = 1 / Math.sqrt(sum / dim + eps);
    for (let i = 0; i < dim; i++) y.data[to + i] = x.data[from + i] * scale * weight[i];
  }
}

/**
 * One output column: y[r] (+)= sum of x[r] * weightRow (+ bias). With several slices of the columns each has a sum of
 * its own, rounded to f32, added in their order: what tensor parallel training computed.
 */
export function matmulColumn(
  y: Rows,
  x: Rows,
  weightRow: Float32Array,
  bias: number,
  rows: number,
  cols: number,
  accumulate: boolean,
  slices = 1,
): void {
  const width = cols / slices;
  for (let r = 0; r < rows; r++) {
    const from = x.offset + r * x.stride;
    const to = y.offset + r * y.stride;
    let sum = bias;
    for (let slice = 0; slice < slices; slice++) {
      let part = slices === 1 ? sum : 0;
      for (let i = slice * width; i < (slice + 1) * width; i++) {
        part += x.data[from + i] * weightRow[i];
      }
      sum = slices === 1 ? part : Math.fround(sum + Math.fround(part));
    }
    y.data[to] = accumulate ? y.data[to] + sum : sum;
  }
}

/** Rotates pairs (i, i + headDim / 2) of each head by its position * inverse[i], in place. */
export function rope(
  x: Rows,
  rows: number,
  heads: number,
  headDim: number,
  positions: (row: number) => number,
  inverse: Float64Array,
  factor: number,
): void {
  const half = headDim / 2;
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(positions(r) * Math.fround(inverse[i]));
      const cos = Math.cos(angle) * factor;
      const sin = Math.sin(angle) * factor;
      for (let h = 0; h < heads; h++) {
        const at = x.offset + r * x.stride + h * headDim + i;
        const a = x.data[at];
        const b = x.data[at + half];
        x.data[at] = a * cos - b * sin;
        x.data[at + half] = b * cos + a * sin;
      }
    }
  }
}

/** Which keys are seen, and room for what is made of their scores. */
export interface AttentionMask {
  readonly keys: number;
  /** (rows, keys) bytes, 1 where seen. */
  readonly visible: Uint8Array;
  /** (rows, heads, keys), written. */
  readonly probabilities: Float32Array;
}

/**
 * Causal attention, unless a mask says otherwise, of `rows` consecutive positions over keys and values kept as
 * (position, kvHeads * headDim).
 */
export function attention(
  out: Rows,
  q: Rows,
  keys: Float32Array,
  values: Float32Array,
  rows: number,
  position: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  scale: number,
  mask?: AttentionMask,
): void {
  const width = kvHeads * headDim;
  const group = heads / kvHeads;
  for (let r = 0; r < rows; r++) {
    const visible = mask ? mask.keys : position + r + 1;
    const scores = new Float64Array(visible);
    const seen = (t: number): boolean => !mask || mask.visible[r * visible + t] === 1;
    for (let h = 0; h < heads; h++) {
      const query = q.offset + r * q.stride + h * headDim;
      const column = Math.floor(h / group) * headDim;
      let max = Number.NEGATIVE_INFINITY;
      for (let t = 0; t < visible; t++) {
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += q.data[query + i] * keys[t * width + column + i];
        scores[t] = seen(t) ? dot * scale : Number.NEGATIVE_INFINITY;
        if (scores[t] > max) max = scores[t];
      }
      let total = 0;
      for (let t = 0; t < visible; t++) {
        total += scores[t] = seen(t) ? Math.exp(scores[t] - max) : 0;
      }
      if (total === 0) total = 1; // sees nothing
      for (let i = 0; i < headDim; i++) {
        let sum = 0;
        for (let t = 0; t < visible; t++) sum += scores[t] * values[t * width + column + i];
        out.data[out.offset + r * out.stride + h * headDim + i] = sum / total;
      }
      const at = (r * heads + h) * visible;
      for (let t = 0; t < visible && mask; t++) mask.probabilities[at + t] = scores[t] / total;
    }
  }
}

/** y = silu(gate) * up; gate at column 0 of x, up at `upColumn`. */
export function swiglu(y: Rows, x: Rows, upColumn: number, rows: number, cols: number): void {
  for (let r = 0; r < rows; r++) {
    const from = x.offset + r * x.stride;
    const to = y.offset + r * y.stride;
    for (let i = 0; i < cols; i++) {
      const gate = x.data[from + i];
      y.data[to + i] = (gate / (1 + Math.exp(-gate))) * x.data[from + upColumn + i];
    }
  }
}

/** y = activation(gate) * up, as `swiglu`. */
export function glu(
  y: Rows,
  x: Rows,
  activation: (gate: number) => number,
  upColumn: number,
  rows: number,
  cols: number,
): void {
  for (let r = 0; r < rows; r++) {
    const from = x.offset + r * x.stride;
    const to = y.offset + r * y.stride;
    for (let i = 0; i < cols; i++) {
      y.data[to + i] = activation(x.data[from + i]) * x.data[from + upColumn + i];
    }
  }
}

/** The lowest id of the largest value; NaN never wins. */
export function argmax(x: Float32Array): number {
  let best = 0;
  for (let i = 1; i < x.length; i++) if (x[i] > x[best] || Number.isNaN(x[best])) best = i;
  return best;
}
