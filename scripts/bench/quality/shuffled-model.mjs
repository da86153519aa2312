// A float checkpoint of the same function whose weights lie on no 4-bit grid: what quantizing from
// floats costs can be measured where there is only a 4-bit file.
//
// Channels of the residual stream, of each layer's FFN and of each value head are permuted, which
// changes no result but groups other weights into blocks.
import { dequantize } from "../../../dist/src/formats/gguf/dequantize.js";
import { memorySource } from "../../../dist/src/sources/memory.js";

/** A permutation of 0 ... length - 1, from a seed. */
function permutation(length, seed) {
  const order = Int32Array.from({ length }, (_, i) => i);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Row i of the result is row order[i]. */
function permuteRows(values, [rows, cols = 1], order) {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    out.set(values.subarray(order[r] * cols, (order[r] + 1) * cols), r * cols);
  }
  return out;
}

function permuteColumns(values, [rows, cols], order) {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) out[r * cols + c] = values[r * cols + order[c]];
  }
  return out;
}

/** The same permutation of head_dim in each of `heads` heads. */
function perHead(heads, headDim, order) {
  return Int32Array.from({ length: heads * headDim }, (_, i) => {
    const head = Math.floor(i / headDim);
    return head * headDim + order[i % headDim];
  });
}

/** What a layer's tensors are permuted by. */
function ordersOf(name, config) {
  const { hidden_size: dim, intermediate_size: ffn, head_dim: headDim } = config;
  const layer = Number(/layers\.(\d+)\./.exec(name)?.[1] ?? -1);
  const value = permutation(headDim, 3 + 2 * layer);
  return {
    residual: permutation(dim, 1),
    hidden: permutation(ffn, 2 + 2 * layer),
    values: perHead(config.num_key_value_heads, headDim, value),
    attended: perHead(config.num_attention_heads, headDim, value),
  };
}

/** What belongs to a matrix's columns, in the order of the shuffled matrix's. */
export function columnsOf(name, columns, config) {
  const { residual, hidden, attended } = ordersOf(name, config);
  const order = /down_proj/.test(name) ? hidden : /o_proj/.test(name) ? attended : residual;
  return permuteRows(columns, [columns.length], order);
}

/** Entries (from openGguf, in any form) with their weights in f32, permuted. */
export async function shuffledEntries(entries, config) {
  const out = [];
  for (const { name, tensor, rowOrder } of entries) {
    const { shape } = tensor;
    const bytes = new Uint8Array(tensor.bytes);
    await tensor.source.readInto(bytes, tensor.start);
    let values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    dequantize(tensor.type, bytes, values);
    if (rowOrder) values = permuteRows(values, shape, rowOrder);

    const { residual, hidden, values: valueRows, attended } = ordersOf(name, config);
    if (/norm|o_proj|down_proj/.test(name)) values = permuteRows(values, shape, residual);
    else values = permuteColumns(values, shape, residual);
    if (/gate_proj|up_proj/.test(name)) values = permuteRows(values, shape, hidden);
    if (/down_proj/.test(name)) values = permuteColumns(values, shape, hidden);
    if (/v_proj/.test(name)) values = permuteRows(values, shape, valueRows);
    if (/o_proj/.test(name)) values = permuteColumns(values, shape, attended);
    const data = new Uint8Array(values.buffer);
    const source = memorySource(data, "shuffled");
    out.push({ name, tensor: { name, type: "F32", shape, source, start: 0, bytes: data.length } });
  }
  return out;
}
