/** LoRA with plain loops: sums in f64, an output rounded to f32 once more. */
import type { LoraAdapter } from "../../adapters/lora-adapter.ts";
import { readValues } from "../../adapters/read-values.ts";
import type { FloatTensor } from "../../formats/float-tensor.ts";
import type { Span } from "../backend.ts";
import type { Rows } from "./ops.ts";

export interface LoadedFactors {
  readonly rank: number;
  readonly scaling: number;
  /** (rank, inputs); of the embedding (rank, vocab) */
  readonly a: Float32Array;
  /** (outputs, rank) */
  readonly b: Float32Array;
  /** (outputs,) */
  readonly bias?: Float32Array;
}

export interface LoadedAdapter {
  readonly name: string;
  readonly modules: ReadonlyMap<string, LoadedFactors>;
  readonly replaced: ReadonlyMap<string, Float32Array>;
  readonly bytes: number;
}

/** The shapes were compared with the base's. */
export async function loadReferenceAdapter(
  adapter: LoraAdapter,
  signal?: AbortSignal,
): Promise<LoadedAdapter> {
  const read = (tensor: FloatTensor): Promise<Float32Array> => readValues(tensor, signal);
  const modules = new Map<string, LoadedFactors>();
  for (const [module, { rank, scaling, a, b, bias }] of adapter.modules) {
    modules.set(module, {
      rank,
      scaling,
      a: await read(a),
      b: await read(b),
      ...(bias && { bias: await read(bias) }),
    });
  }
  const replaced = new Map<string, Float32Array>();
  for (const [name, tensor] of adapter.replaced) replaced.set(name, await read(tensor));
  return { name: adapter.name, modules, replaced, bytes: valueBytes(adapter) };
}

/** What `loadReferenceAdapter` takes. */
export function valueBytes({ modules, replaced }: LoraAdapter): number {
  const tensors = [...modules.values()].flatMap(({ a, b, bias }) => [
    a,
    b,
    ...(bias ? [bias] : []),
  ]);
  return [...tensors, ...replaced.values()].reduce(
    (sum, { shape }) => sum + shape.reduce((product, n) => product * n, 4),
    0,
  );
}

/** Consecutive rows of a batch that read the same tensor: the base's where `values` is absent. */
export interface RowGroup {
  readonly from: number;
  readonly count: number;
  readonly values?: Float32Array;
}

/** The rows by what replaces `tensor` for them. */
export function rowGroups(
  spans: readonly Span[],
  rows: number,
  tensor: string,
  get: (handle: number) => LoadedAdapter,
): RowGroup[] {
  if (!spans.some(({ adapters }) => adapters?.length)) return [{ from: 0, count: rows }];
  let from = 0;
  return spans.map(({ count, adapters = [] }) => {
    const values = adapters
      .map(({ handle }) => get(handle).replaced.get(tensor))
      .find((found) => found !== undefined);
    from += count;
    return { from: from - count, count, ...(values && { values }) };
  });
}

/** y[r] += scale * (B (A x[r]) + bias) for each of the span's rows. */
export function addDelta(
  y: Rows,
  x: Rows,
  { rank, scaling, a, b, bias }: LoadedFactors,
  scale: number,
  rows: number,
): void {
  const cols = a.length / rank;
  for (let r = 0; r < rows; r++) {
    const low = new Float64Array(rank);
    for (let j = 0; j < rank; j++) {
      for (let i = 0; i < cols; i++) {
        low[j] += x.data[x.offset + r * x.stride + i] * a[j * cols + i];
      }
    }
    addLow(y, r, low, b, scale * scaling, bias);
  }
}

/** y[r] += scale * B (the column of A that belongs to its token). */
export function addEmbeddingDelta(
  y: Rows,
  ids: ArrayLike<number>,
  firstId: number,
  { rank, scaling, a, b }: LoadedFactors,
  scale: number,
  rows: number,
): void {
  const vocab = a.length / rank;
  for (let r = 0; r < rows; r++) {
    const low = Float64Array.from({ length: rank }, (_, j) => a[j * vocab + ids[firstId + r]]);
    addLow(y, r, low, b, scale * scaling, undefined);
  }
}

function addLow(
  y: Rows,
  r: number,
  low: Float64Array,
  b: Float32Array,
  scale: number,
  bias: Float32Array | undefined,
): void {
  const rank = low.length;
  for (let n = 0; n < b.length / rank; n++) {
    let sum = bias?.[n] ?? 0;
    for (let j = 0; j < rank; j++) sum += b[n * rank + j] * low[j];
    y.data[y.offset + r * y.stride + n] += scale * sum;
  }
}
