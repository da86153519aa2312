/**
 * A Llama as a flat list of steps over named buffers, written once so that it reads like the paper
 * (arXiv:2302.13971, 2307.09288). Every backend runs this list; memory is known from it before
 * anything is loaded.
 *
 * A buffer is (rows, cols) f32, one row a token of the batch. Matrix outputs start at columns that
 * are multiples of 16, since the kernels write panels of 16 rows.
 */
import { paddedRows } from "../pack/forms.ts";
import type { LlamaConfig } from "./config.ts";
import { type GateActivation, gateActivation } from "./hidden-act.ts";
import { EMBEDDING, FINAL_NORM, type HeadTensors, LM_HEAD, layerTensor } from "./tensors.ts";

export type BufferName =
  | "x" // the residual stream
  | "h" // normalised x
  | "qkv" // queries, keys, values
  | "att" // attention's output
  | "gateUp" // gate and up projections
  | "ffn" // activation(gate) * up
  | "logits";

/** One matrix of a fused product: its output goes to columns [column, column + rows). */
export interface MatmulPart {
  readonly weight: string;
  readonly bias?: string;
  readonly rows: number;
  readonly column: number;
}

export type Step =
  | { readonly op: "embed"; readonly out: BufferName; readonly weight: string }
  | {
      readonly op: "rmsNorm";
      readonly out: BufferName;
      readonly in: BufferName;
      readonly weight: string;
    }
  | {
      /** out = in W^T, one product a part; with `accumulate`, out += in W^T. */
      readonly op: "matmul";
      readonly out: BufferName;
      readonly in: BufferName;
      readonly cols: number;
      readonly parts: readonly MatmulPart[];
      readonly accumulate: boolean;
      /** Columns are summed in so many parts, each rounded, as tensor parallel training did; absent: in one. */
      readonly slices?: number;
    }
  | {
      /** Rotates `heads` heads in place, from `column` on. */
      readonly op: "rope";
      readonly buffer: BufferName;
      readonly column: number;
      readonly heads: number;
    }
  | {
      readonly op: "storeKv";
      readonly layer: number;
      readonly in: BufferName;
      readonly keyColumn: number;
      readonly valueColumn: number;
    }
  | {
      readonly op: "attention";
      readonly layer: number;
      readonly out: BufferName;
      readonly in: BufferName;
      readonly queryColumn: number;
      /** Shown under this name where given: rows of (heads, keys). */
      readonly probabilities?: string;
    }
  | {
      /** Shows a buffer to who looks. */
      readonly op: "tap";
      readonly name: string;
      readonly in: BufferName;
    }
  | {
      /** out = silu(gate) * up. */
      readonly op: "swiglu";
      readonly out: BufferName;
      readonly in: BufferName;
      readonly upColumn: number;
      readonly cols: number;
    }
  | {
      /** out = activation(gate) * up. */
      readonly op: "glu";
      readonly activation: Exclude<GateActivation, "silu">;
      readonly out: BufferName;
      readonly in: BufferName;
      readonly upColumn: number;
      readonly cols: number;
    };

export interface Plan {
  readonly config: LlamaConfig;
  /** What it was planned with: see PlanOptions. */
  readonly headTensors?: HeadTensors | null;
  /** Columns of a row of logits. */
  readonly outputs: number;
  /** Columns of each buffer: the distance between its rows. */
  readonly buffers: Readonly<Record<BufferName, number>>;
  /** Over every row of the batch: all but the last layer's attention and MLP. */
  readonly steps: readonly Step[];
  /**
   * The rest, over the rows whose logits are wanted: of the others only keys and values are ever
   * read again. A prompt of 512 tokens takes 3 % less with 30 layers.
   */
  readonly head: readonly Step[];
  /** Buffers whose wanted rows must be moved to the front before `head` runs. */
  readonly gathered: readonly BufferName[];
}

export interface PlanOptions {
  /** Default: the language model's; null: none, the plan ends with normalised states. */
  readonly head?: HeadTensors | null;
  /** Taps `hidden_states.0` (embeddings) to `hidden_states.N` (the last layer's, normalised). */
  readonly hiddenStates?: boolean;
  /** Probabilities of layer i are shown as `attentions.i`. */
  readonly attentions?: boolean;
}

export function planLlama(config: LlamaConfig, options: PlanOptions = {}): Plan {
  const { hidden_size: dim, intermediate_size: ffn, vocab_size: vocab, head_dim } = config;
  const heads = config.num_attention_heads;
  const kvHeads = config.num_key_value_heads;
  const keyColumn = paddedRows(heads * head_dim);
  const valueColumn = keyColumn + paddedRows(kvHeads * head_dim);
  const upColumn = paddedRows(ffn);

  const activation = gateActivation(config.hidden_act);
  const gated: Step =
    activation === "silu"
      ? { op: "swiglu", out: "ffn", in: "gateUp", upColumn, cols: ffn }
      : { op: "glu", activation, out: "ffn", in: "gateUp", upColumn, cols: ffn };
  const { pretraining_tp } = config;
  const slices = pretraining_tp === undefined ? {} : { slices: pretraining_tp };

  const steps: Step[] = [{ op: "embed", out: "x", weight: EMBEDDING }];
  const head: Step[] = [];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const part = (name: string, rows: number, column: number, bias: boolean): MatmulPart => {
      const tensor = layerTensor(layer, name);
      return {
        weight: `${tensor}.weight`,
        ...(bias && { bias: `${tensor}.bias` }),
        rows,
        column,
      };
    };
    const { attention_bias, mlp_bias } = config;
    if (options.hiddenStates) steps.push({ op: "tap", name: `hidden_states.${layer}`, in: "x" });
    steps.push(
      { op: "rmsNorm", out: "h", in: "x", weight: layerTensor(layer, "input_layernorm.weight") },
      {
        op: "matmul",
        out: "qkv",
        in: "h",
        cols: dim,
        accumulate: false,
        parts: [
          part("self_attn.q_proj", heads * head_dim, 0, attention_bias),
          part("self_attn.k_proj", kvHeads * head_dim, keyColumn, attention_bias),
          part("self_attn.v_proj", kvHeads * head_dim, valueColumn, attention_bias),
        ],
      },
      { op: "rope", buffer: "qkv", column: 0, heads },
      { op: "rope", buffer: "qkv", column: keyColumn, heads: kvHeads },
      { op: "storeKv", layer, in: "qkv", keyColumn, valueColumn },
    );
    const rest = layer === config.num_hidden_layers - 1 ? head : steps;
    rest.push(
      {
        op: "attention",
        layer,
        out: "att",
        in: "qkv",
        queryColumn: 0,
        ...(options.attentions && { probabilities: `attentions.${layer}` }),
      },
      {
        op: "matmul",
        out: "x",
        in: "att",
        cols: heads * head_dim,
        accumulate: true,
        ...slices,
        parts: [part("self_attn.o_proj", dim, 0, attention_bias)],
      },
      {
        op: "rmsNorm",
        out: "h",
        in: "x",
        weight: layerTensor(layer, "post_attention_layernorm.weight"),
      },
      {
        op: "matmul",
        out: "gateUp",
        in: "h",
        cols: dim,
        accumulate: false,
        parts: [
          part("mlp.gate_proj", ffn, 0, mlp_bias),
          part("mlp.up_proj", ffn, upColumn, mlp_bias),
        ],
      },
      gated,
      {
        op: "matmul",
        out: "x",
        in: "ffn",
        cols: ffn,
        accumulate: true,
        ...slices,
        parts: [part("mlp.down_proj", dim, 0, mlp_bias)],
      },
    );
  }
  const lm = { weight: config.tie_word_embeddings ? EMBEDDING : LM_HEAD, rows: vocab };
  const last: HeadTensors | null = options.head === undefined ? lm : options.head;
  head.push({ op: "rmsNorm", out: "h", in: "x", weight: FINAL_NORM });
  if (options.hiddenStates) {
    head.push({ op: "tap", name: `hidden_states.${config.num_hidden_layers}`, in: "h" });
  }
  if (last) {
    const parts = [{ ...last, column: 0 }];
    head.push({ op: "matmul", out: "logits", in: "h", cols: dim, accumulate: false, parts });
  }
  return {
    config,
    ...(options.head !== undefined && { headTensors: options.head }),
    outputs: last?.rows ?? 0,
    buffers: {
      x: dim,
      h: dim,
      qkv: valueColumn + paddedRows(kvHeads * head_dim),
      att: heads * head_dim,
      gateUp: 2 * upColumn,
      ffn,
      logits: paddedRows(last?.rows ?? 0),
    },
    steps,
    head,
    gathered: ["x", "qkv"],
  };
}

/** The part of a plan's head that ends with the normalised states, which it leaves in `h`. */
export function stateSteps({ head }: Plan): readonly Step[] {
  return head.slice(0, head.findLastIndex(({ op }) => op === "rmsNorm") + 1);
}
