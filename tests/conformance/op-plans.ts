/**
 * One small plan per operation. Every backend runs them and must give the reference's values: the
 * embedding table holds the operation's input, an identity matrix carries its output to the logits.
 */
import { type LlamaConfig, parseLlamaConfig } from "../../src/model/config.ts";
import type { Plan, Step } from "../../src/model/plan.ts";
import { planLlama } from "../../src/model/plan.ts";
import { paddedRows } from "../../src/pack/forms.ts";

/** A tensor of a test plan, as f32 rows; the suite packs it into a form. */
export interface TestTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface OpCase {
  readonly title: string;
  readonly plan: Plan;
  readonly tensors: readonly TestTensor[];
  /** Rows of logits hold the output in their first `outputs` columns. */
  readonly outputs: number;
}

/** Deterministic values in [-scale, scale): Knuth's multiplicative hash of the index. */
export function noise(length: number, seed: number, scale = 1): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const hash = Math.imul((i + 1) * 2 + seed * 7919 + 1, 2654435761) >>> 0;
    return ((hash / 2 ** 31 - 1) * scale * (1 + (hash % 97))) / 97;
  });
}

export interface Sizes {
  readonly dim: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
}

export function configOf(sizes: Sizes, vocab: number): LlamaConfig {
  return parseLlamaConfig(
    {
      vocab_size: vocab,
      hidden_size: sizes.dim,
      intermediate_size: sizes.ffn,
      num_hidden_layers: 1,
      num_attention_heads: sizes.heads,
      num_key_value_heads: sizes.kvHeads,
      head_dim: sizes.headDim,
      max_position_embeddings: 4096,
      rope_theta: 10000,
    },
    "conformance",
  );
}

const INPUT = "input";
const EYE = "eye";

function identity(name: string, rows: number, cols: number): TestTensor {
  const values = new Float32Array(rows * cols);
  for (let i = 0; i < Math.min(rows, cols); i++) values[i * cols + i] = 1;
  return { name, shape: [rows, cols], values };
}

/** A plan whose x is the embedding of the ids, whose steps are these, and whose logits are x. */
function planOf(config: LlamaConfig, steps: readonly Step[]): Plan {
  const { buffers } = planLlama(config);
  const dim = config.hidden_size;
  return {
    config,
    outputs: config.vocab_size,
    buffers: { ...buffers, logits: paddedRows(config.vocab_size) },
    steps: [{ op: "embed", out: "x", weight: INPUT }, ...steps],
    head: [
      {
        op: "matmul",
        out: "logits",
        in: "x",
        cols: dim,
        accumulate: false,
        parts: [{ weight: EYE, rows: dim, column: 0 }],
      },
    ],
    gathered: ["x"],
  };
}

const SCALE_OF_INPUT = 3;

const ACTIVATIONS = [
  "quick_gelu",
  "gelu_tanh",
  "gelu",
  "relu",
  "relu2",
  "sigmoid",
  "linear",
] as const;

/** All operations at these sizes. */
export function opCases(sizes: Sizes): OpCase[] {
  const { dim, heads, kvHeads, headDim, ffn } = sizes;
  // As many input rows as columns, so that a row of logits has room for a row of x.
  const vocab = Math.max(dim, 64);
  const config = configOf(sizes, vocab);
  const input: TestTensor = {
    name: INPUT,
    shape: [vocab, dim],
    values: noise(vocab * dim, 1, SCALE_OF_INPUT),
  };
  const eye = identity(EYE, dim, dim);
  const carry = (cols: number): TestTensor => identity("carry", dim, cols);
  /** Copies the first columns of a buffer into x. */
  const carryStep = (from: "h" | "att" | "ffn", cols: number): Step => ({
    op: "matmul",
    out: "x",
    in: from,
    cols,
    accumulate: false,
    parts: [{ weight: "carry", rows: dim, column: 0 }],
  });
  const matrix = (name: string, rows: number, cols: number, seed: number): TestTensor => ({
    name,
    shape: [rows, cols],
    // Outputs of about the inputs' size, as in a trained model: scores must not drown in the softmax.
    values: noise(rows * cols, seed, 1.5 / Math.sqrt(cols)),
  });
  const vector = (name: string, length: number, seed: number): TestTensor => ({
    name,
    shape: [length],
    values: noise(length, seed),
  });
  const keyColumn = paddedRows(heads * headDim);
  const valueColumn = keyColumn + paddedRows(kvHeads * headDim);
  const upColumn = paddedRows(ffn);
  const qkv: Step = {
    op: "matmul",
    out: "qkv",
    in: "x",
    cols: dim,
    accumulate: false,
    parts: [
      { weight: "q", rows: heads * headDim, column: 0 },
      { weight: "k", rows: kvHeads * headDim, column: keyColumn },
      { weight: "v", rows: kvHeads * headDim, column: valueColumn },
    ],
  };
  const qkvTensors = [
    matrix("q", heads * headDim, dim, 2),
    matrix("k", kvHeads * headDim, dim, 3),
    matrix("v", kvHeads * headDim, dim, 4),
  ];
  const attend: Step[] = [
    { op: "storeKv", layer: 0, in: "qkv", keyColumn, valueColumn },
    { op: "attention", layer: 0, out: "att", in: "qkv", queryColumn: 0 },
  ];
  const gateUp: Step = {
    op: "matmul",
    out: "gateUp",
    in: "x",
    cols: dim,
    accumulate: false,
    parts: [
      { weight: "gate", rows: ffn, column: 0 },
      { weight: "up", rows: ffn, column: upColumn },
    ],
  };
  const gateUpTensors = [matrix("gate", ffn, dim, 5), matrix("up", ffn, dim, 6)];
  return [
    { title: "embed", plan: planOf(config, []), tensors: [input, eye], outputs: dim },
    {
      title: "rmsNorm",
      plan: planOf(config, [
        { op: "rmsNorm", out: "h", in: "x", weight: "norm" },
        carryStep("h", dim),
      ]),
      tensors: [input, eye, vector("norm", dim, 7), carry(dim)],
      outputs: dim,
    },
    {
      title: "matmul, added to the residual, with a bias",
      plan: planOf(config, [
        { op: "rmsNorm", out: "h", in: "x", weight: "norm" },
        {
          op: "matmul",
          out: "x",
          in: "h",
          cols: dim,
          accumulate: true,
          parts: [{ weight: "w", bias: "b", rows: dim, column: 0 }],
        },
      ]),
      tensors: [input, eye, vector("norm", dim, 7), matrix("w", dim, dim, 8), vector("b", dim, 9)],
      outputs: dim,
    },
    {
      title: "attention without rotation",
      plan: planOf(config, [qkv, ...attend, carryStep("att", heads * headDim)]),
      tensors: [input, eye, ...qkvTensors, carry(heads * headDim)],
      outputs: Math.min(dim, heads * headDim),
    },
    {
      title: "rope and attention",
      plan: planOf(config, [
        qkv,
        { op: "rope", buffer: "qkv", column: 0, heads },
        { op: "rope", buffer: "qkv", column: keyColumn, heads: kvHeads },
        ...attend,
        carryStep("att", heads * headDim),
      ]),
      tensors: [input, eye, ...qkvTensors, carry(heads * headDim)],
      outputs: Math.min(dim, heads * headDim),
    },
    {
      title: "swiglu",
      plan: planOf(config, [
        gateUp,
        { op: "swiglu", out: "ffn", in: "gateUp", upColumn, cols: ffn },
        carryStep("ffn", ffn),
      ]),
      tensors: [input, eye, ...gateUpTensors, carry(ffn)],
      outputs: Math.min(dim, ffn),
    },
    ...ACTIVATIONS.map((activation) => ({
      title: `glu, ${activation}`,
      plan: planOf(config, [
        gateUp,
        { op: "glu", activation, out: "ffn", in: "gateUp", upColumn, cols: ffn },
        carryStep("ffn", ffn),
      ]),
      tensors: [input, eye, ...gateUpTensors, carry(ffn)],
      outputs: Math.min(dim, ffn),
    })),
  ];
}
