/**
 * Adapters merged into a checkpoint: its tensors with the low-rank products added, row by row as they are read, so that
 * whatever writes, packs or loads a checkpoint does it with the merged one. Sums run in f64 and are rounded once, to the
 * type that the tensor has (as PEFT's merge); of quantized files that is f32, from which they are quantized again.
 */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { PronkError } from "../errors.ts";
import { fromF32, toF32 } from "../formats/cast-tensor.ts";
import { checkRows } from "../formats/check-rows.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { printable } from "../formats/printable.ts";
import { rowBytesOf } from "../formats/stored-tensor.ts";
import { parseLlamaConfig } from "../model/config.ts";
import { EMBEDDING, type HeadTensors, LM_HEAD } from "../model/tensors.ts";
import { EMBEDDING_MODULE, fitAdapter } from "./fit-adapter.ts";
import type { LoraAdapter, LoraModule } from "./lora-adapter.ts";
import { standardName } from "./open-lora-adapter.ts";
import { readValues } from "./read-values.ts";

export interface WeightedAdapter {
  readonly adapter: LoraAdapter;
  /** Of its change; what it replaces it replaces at any weight. Default 1. */
  readonly weight?: number;
}

/** Heads that an adapter may bring to a base that has none. */
const HEADS = ["score", "qa_outputs"] as const;

const HEAD_CLASSES: Readonly<Record<string, string>> = {
  SEQ_CLS: "LlamaForSequenceClassification",
  TOKEN_CLS: "LlamaForTokenClassification",
  QUESTION_ANS: "LlamaForQuestionAnswering",
};

/** One adapter's part of a tensor. */
interface Delta {
  readonly module: LoraModule;
  readonly scale: number;
}

/**
 * The checkpoint with all the adapters in it; reads nothing yet. Where embedding and head were one and an adapter
 * changes either, they are two.
 *
 * @throws PronkError "bad_request" when an adapter is another base's, two replace the same tensor, or a bias is to be
 *   added where the base has none; "unsupported", "bad_format" as the configuration.
 */
export function mergeLora(
  checkpoint: Checkpoint,
  adapters: readonly WeightedAdapter[],
): Checkpoint {
  const where = checkpoint.name;
  const names = new Map([...checkpoint.tensors.keys()].map((name) => [standardName(name), name]));
  const config = parseLlamaConfig(checkpoint.config, `${where}: config.json`);
  const replaced = new Map<string, FloatTensor>();
  const deltas = new Map<string, Delta[]>();
  const biases = new Map<string, { readonly bias: FloatTensor; readonly scale: number }[]>();
  for (const { adapter, weight = 1 } of adapters) {
    const bad = (why: string): PronkError =>
      new PronkError("bad_request", `${adapter.name}: ${why}`, { param: "adapter" });
    if (!Number.isFinite(weight)) throw bad(`weight ${weight}`);
    fitAdapter(adapter, config, headOf(checkpoint, adapter, names));
    for (const [name, tensor] of adapter.replaced) {
      if (replaced.has(name)) throw bad(`another adapter replaces ${printable(name)}, too`);
      replaced.set(name, tensor);
    }
    for (const [name, module] of adapter.modules) {
      const scale = weight * module.scaling;
      push(deltas, `${name}.weight`, { module, scale });
      if (!module.bias) continue;
      if (!names.has(`${name}.bias`)) throw bad(`${name}: the base has no bias to merge one into`);
      push(biases, `${name}.bias`, { bias: module.bias, scale });
    }
  }
  const changed = new Set([...replaced.keys(), ...deltas.keys()]);
  const unties = config.tie_word_embeddings && (changed.has(EMBEDDING) || changed.has(LM_HEAD));
  const tensors = new Map(checkpoint.tensors);
  const shared = names.get(EMBEDDING);
  if (unties && shared !== undefined && !names.has(LM_HEAD)) {
    tensors.set(LM_HEAD, { ...tensors.get(shared)!, name: LM_HEAD });
    names.set(LM_HEAD, LM_HEAD);
  }
  for (const [name, tensor] of replaced) {
    const own = names.get(name) ?? name;
    names.set(name, own);
    tensors.set(own, { ...tensor, name: own });
  }
  for (const [name, parts] of deltas) {
    const own = names.get(name);
    if (own === undefined)
      throw new PronkError("bad_format", `${where}: tensor ${name} is missing`);
    tensors.set(own, mergedMatrix(tensors.get(own)!, parts));
  }
  for (const [name, parts] of biases) {
    const own = names.get(name)!;
    tensors.set(own, mergedVector(tensors.get(own)!, parts));
  }
  return { ...checkpoint, config: mergedConfig(checkpoint, replaced, adapters, unties), tensors };
}

function push<Item>(map: Map<string, Item[]>, key: string, item: Item): void {
  const found = map.get(key);
  if (found) found.push(item);
  else map.set(key, [item]);
}

/** The base's head or, where it has none of these, the adapter's. */
function headOf(
  { tensors }: Checkpoint,
  { replaced }: LoraAdapter,
  names: ReadonlyMap<string, string>,
): HeadTensors | undefined {
  for (const head of HEADS) {
    const weight = `${head}.weight`;
    const own = names.get(weight);
    const tensor = own === undefined ? replaced.get(weight) : tensors.get(own);
    if (!tensor) continue;
    const bias = `${head}.bias`;
    const hasBias = names.has(bias) || replaced.has(bias);
    return { weight, rows: tensor.shape[0] ?? 0, ...(hasBias && { bias }) };
  }
  return undefined;
}

/** A head that came with an adapter makes another model of it. */
function mergedConfig(
  { config, tensors }: Checkpoint,
  replaced: ReadonlyMap<string, FloatTensor>,
  adapters: readonly WeightedAdapter[],
  unties: boolean,
): Checkpoint["config"] {
  const own = { ...config, ...(unties && { tie_word_embeddings: false }) };
  const score = replaced.get("score.weight");
  const isNew = HEADS.some(
    (head) => replaced.has(`${head}.weight`) && !tensors.has(`${head}.weight`),
  );
  if (!isNew) return own;
  const task = adapters.map(({ adapter }) => adapter.config.task_type).find(Boolean) ?? "";
  const architecture = HEAD_CLASSES[task];
  const labels = score?.shape[0];
  const { id2label: _, label2id: __, num_labels: ___, ...rest } = own as Record<string, unknown>;
  return {
    ...(labels === undefined ? own : { ...rest, ...labelsOf(labels, own) }),
    ...(architecture !== undefined && { architectures: [architecture] }),
  };
}

/** The configuration's labels where there are as many, else as transformers names them. */
function labelsOf(count: number, { id2label }: Checkpoint["config"]): Record<string, unknown> {
  const given = typeof id2label === "object" && id2label !== null ? Object.entries(id2label) : [];
  const labels =
    given.length === count
      ? given
      : Array.from({ length: count }, (_, i): [string, unknown] => [String(i), `LABEL_${i}`]);
  return {
    id2label: Object.fromEntries(labels),
    label2id: Object.fromEntries(labels.map(([id, label]) => [String(label), Number(id)])),
  };
}

/** Factors as rows and columns: element (n, i) gets scale * sum of left[n][j] * right[j][i]. */
interface LoadedDelta {
  readonly rank: number;
  readonly scale: number;
  readonly left: Float32Array;
  readonly right: Float32Array;
}

async function loadDelta({ module, scale }: Delta, signal?: AbortSignal): Promise<LoadedDelta> {
  const { rank } = module;
  const a = await readValues(module.a, signal);
  const b = await readValues(module.b, signal);
  // The embedding's rows are tokens, which A has as columns.
  if (module.module !== EMBEDDING_MODULE) return { rank, scale, left: b, right: a };
  return { rank, scale, left: transposed(a, rank), right: transposed(b, b.length / rank) };
}

function transposed(values: Float32Array, rows: number): Float32Array {
  const cols = values.length / rows;
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) out[c * rows + r] = values[r * cols + c]!;
  }
  return out;
}

/** Rows come in order, many calls a tensor: its factors are read once, at the first, and forgotten after the last. */
function mergedMatrix(base: FloatTensor, parts: readonly Delta[]): FloatTensor {
  const { name, type, shape } = base;
  const cols = shape[1]!;
  const rowBytes = rowBytesOf(type, shape);
  let loading: Promise<LoadedDelta[]> | undefined;
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      checkRows(this, first, count, into);
      loading ??= Promise.all(parts.map((part) => loadDelta(part, signal)));
      let deltas: LoadedDelta[];
      try {
        deltas = await loading;
      } catch (error) {
        loading = undefined;
        throw error;
      }
      await base.readRows(first, count, into, signal);
      const sum = new Float64Array(cols);
      const row = new Float32Array(cols);
      for (let r = 0; r < count; r++) {
        const bytes = into.subarray(r * rowBytes, (r + 1) * rowBytes);
        sum.set(toF32(bytes, type));
        for (const delta of deltas) addRow(sum, first + r, delta);
        row.set(sum);
        writeRow(base, row, bytes);
      }
      if (first + count === shape[0]) loading = undefined;
    },
  };
}

function addRow(sum: Float64Array, row: number, { rank, scale, left, right }: LoadedDelta): void {
  const cols = sum.length;
  for (let j = 0; j < rank; j++) {
    const factor = scale * left[row * rank + j]!;
    const from = j * cols;
    for (let i = 0; i < cols; i++) sum[i]! += factor * right[from + i]!;
  }
}

function mergedVector(
  base: FloatTensor,
  parts: readonly { readonly bias: FloatTensor; readonly scale: number }[],
): FloatTensor {
  const { name, type, shape } = base;
  return {
    name,
    type,
    shape,
    async readRows(first, count, into, signal) {
      checkRows(this, first, count, into);
      await base.readRows(first, count, into, signal);
      const sum = Float64Array.from(toF32(into, type));
      for (const { bias, scale } of parts) {
        const values = await readValues(bias, signal);
        for (let i = 0; i < count; i++) sum[i]! += scale * values[first + i]!;
      }
      writeRow(base, Float32Array.from(sum), into);
    },
  };
}

function writeRow({ name, type }: FloatTensor, values: Float32Array, into: Uint8Array): void {
  const wrong = fromF32(values, type, into);
  if (wrong < 0) return;
  const what = `tensor ${printable(name)}: merged, ${values[wrong]} is too large for ${type}`;
  throw new PronkError("unsupported", what);
}
