/**
 * Parts of a plan as the dispatches of one token: five a layer, one more where positions are divided. Products share
 * panels among `sharing` rows of the batch.
 */
import { PANEL_ROWS } from "../../pack/forms.ts";
import type { PackedTensor } from "../../pack/manifest.ts";
import { alignTo } from "./align.ts";
import type { ChoiceBuffers } from "./choice-buffers.ts";
import type { DecodePart, StepOf } from "./decode-parts.ts";
import { ACTIVATION_KINDS, formParts, type LoweringInput, WORD_BYTES } from "./lower-steps.ts";
import type { Kernel, KernelSpec } from "./pipelines.ts";
import type { ShaderName } from "./shaders.gen.ts";
import type { WeightShard } from "./weight-buffers.ts";

/** When a dispatch of a token runs. */
export type DecodeWhen = "always" | "whole" | "divided" | "logits" | "noLogits";

export interface DecodeDispatch {
  readonly kernel: Kernel;
  readonly bindings: readonly GPUBindingResource[];
  readonly groups: number;
  /** Rows of the batch that a workgroup takes. */
  readonly sharing: number;
  readonly when: DecodeWhen;
  /** Its workgroups are so many for each division of the positions. */
  readonly isDivided: boolean;
}

/** How the positions of a sequence are divided among workgroups of attention. */
export interface Division {
  /** Up to so many are not. */
  readonly whole: number;
  /** Positions of each. */
  readonly split: number;
}

export interface DecodeInput extends LoweringInput {
  /** (token, slot, position, row of the angles) of each row. */
  readonly rows: GPUBuffer;
  readonly choices: ChoiceBuffers;
  readonly division: Division;
  /** What divisions leave, so many floats a row. */
  readonly divided: GPUBuffer;
  readonly dividedStride: number;
}

/** Positions up to here are one workgroup's of each head. */
const WHOLE = 512;
/** Of a division at least: fewer are not worth a workgroup. */
const FEWEST_POSITIONS = 256;
/** More would cost the combination more than they gain. */
const MOST_DIVISIONS = 32;

export function divisionOf(ctx: number): Division {
  const split = alignTo(Math.ceil(ctx / MOST_DIVISIONS), ATTENTION_THREADS);
  return { whole: WHOLE, split: Math.max(FEWEST_POSITIONS, split) };
}

/** Matrices of a matvec at most: queries, keys, values. */
const MOST_PARTS = 3;
/** A part that no workgroup reaches. */
const NOWHERE = 0xffffffff;

/** Lanes that read a unit of a panel. */
const LANES = 16;
const FEWEST_THREADS = 64;
const MOST_THREADS = 256;
/** Threads that a large GPU has room for: with fewer in a dispatch its memory idles. */
const WANTED_THREADS = 65_536;

/** A head of more dimensions is not for the attention kernel, a thread of which has two. */
const MOST_HEAD_DIM: number = 2 * MOST_THREADS;
const ATTENTION_THREADS = 128;

export function canDecode({ plan, layers }: Pick<LoweringInput, "plan" | "layers">): boolean {
  const isWhole = layers.every((shards) => shards.length === 1);
  return isWhole && plan.config.head_dim <= MOST_HEAD_DIM && plan.outputs > 0;
}

export function lowerDecode(
  parts: readonly DecodePart[],
  sharing: number,
  input: DecodeInput,
): DecodeDispatch[] {
  const lowering = new DecodeLowering(sharing, input);
  for (const part of parts) lowering.add(part);
  return lowering.finish();
}

interface Pending extends Omit<DecodeDispatch, "bindings"> {
  /** By binding; the parameters' is `at`. */
  readonly resources: readonly (readonly [number, GPUBuffer])[];
  readonly params: readonly number[];
  readonly at: number;
}

/** Panels of one matrix in a dispatch. */
interface ProductShard extends WeightShard {
  readonly tensor: PackedTensor;
  readonly bias: WeightShard | undefined;
  readonly column: number;
}

class DecodeLowering {
  readonly #sharing: number;
  readonly #input: DecodeInput;
  readonly #pending: Pending[] = [];

  constructor(sharing: number, input: DecodeInput) {
    this.#sharing = sharing;
    this.#input = input;
  }

  add(part: DecodePart): void {
    if (part.op === "embed") this.#embed(part.embed);
    else if (part.op === "product") this.#product(part.product, part.norm);
    else if (part.op === "attention") this.#attention(part);
    else if (part.op === "head") this.#head(part);
    else this.#gateUp(part);
  }

  finish(): DecodeDispatch[] {
    const uniforms = this.#input.buffers.uniforms(this.#pending.map(({ params }) => params));
    return this.#pending.map(({ resources, at, params: _, ...dispatch }, i) => {
      const bindings: GPUBindingResource[] = [];
      for (const [binding, buffer] of resources) bindings[binding] = { buffer };
      bindings[at] = uniforms[i];
      return { ...dispatch, bindings };
    });
  }

  #push(
    pending: Pick<Pending, "kernel" | "resources" | "params" | "groups"> & Partial<Pending>,
  ): void {
    this.#pending.push({ sharing: 1, when: "always", isDivided: false, at: 0, ...pending });
  }

  #kernel(
    op: ShaderName,
    constants: KernelSpec["constants"],
    ...parts: readonly ShaderName[]
  ): Kernel {
    return this.#input.pipelines.kernel({ op, parts, ...(constants && { constants }) });
  }

  #embed({ out, weight }: StepOf<"embed">): void {
    const { weights, activations, strides, plan, rows } = this.#input;
    const parts = formParts(weights.tensor(weight));
    const kernel = this.#kernel("embed", { COLS: plan.config.hidden_size, THREADS: 256 }, ...parts);
    for (const shard of weights.shards(weight)) {
      this.#push({
        kernel,
        params: [shard.offset / WORD_BYTES, shard.first, shard.first + shard.rows, strides[out]],
        at: 1,
        resources: [
          [0, shard.buffer],
          [2, rows],
          [3, activations[out]],
        ],
        groups: 1,
      });
    }
  }

  #product({ in: from, out, cols, parts, accumulate }: StepOf<"matmul">, norm?: string): void {
    const { activations, strides } = this.#input;
    const source = norm === undefined ? from : "x";
    const shards = parts.flatMap(({ weight, bias, column }) => this.#shards(weight, bias, column));
    for (const members of together(shards)) {
      const [{ tensor, buffer, bias }] = members;
      let groups = 0;
      const biases: number[] = [];
      const records = members.flatMap((shard) => {
        const first = groups;
        groups += Math.ceil(shard.rows / PANEL_ROWS);
        biases.push(shard.bias ? shard.bias.offset / 4 + shard.first : 0);
        return [first, shard.offset / WORD_BYTES, shard.rows, shard.column + shard.first];
      });
      for (let i = members.length; i < MOST_PARTS; i++) {
        records.push(NOWHERE, 0, 0, 0);
        biases.push(0);
      }
      const normed = this.#norm(norm, buffer);
      this.#push({
        kernel: this.#sharingKernel("matvec", tensor, cols, groups, {
          ACCUMULATE: accumulate,
          HAS_BIAS: bias !== undefined,
          ...normed.constants,
        }),
        params: [strides[source] / 4, strides[out], normed.start, 0, ...records, ...biases, 0],
        at: 1,
        resources: [
          [0, buffer],
          [2, activations[source]],
          [3, activations[out]],
          [4, bias?.buffer ?? buffer],
          [5, normed.buffer],
        ],
        groups,
        sharing: this.#sharing,
      });
    }
  }

  #gateUp(part: Extract<DecodePart, { op: "gateUp" }>): void {
    const { product, glu, norm } = part;
    const { activations, strides } = this.#input;
    const shards = product.parts.map(({ weight, bias }) => this.#shards(weight, bias, 0));
    const [[gate], [up]] = shards;
    const isOne = shards.every(({ length }) => length === 1) && together([gate, up]).length === 1;
    const ACTIVATION = ACTIVATION_KINDS.indexOf(glu.op === "glu" ? glu.activation : "silu");
    if (!isOne) {
      this.#product(product, norm);
      const threads = FEWEST_THREADS;
      this.#push({
        kernel: this.#kernel("glu", { ACTIVATION, THREADS: threads }, "activations"),
        params: [glu.cols, glu.upColumn, strides[glu.in], strides[glu.out]],
        resources: [
          [1, activations[glu.in]],
          [2, activations[glu.out]],
        ],
        groups: Math.ceil(glu.cols / threads),
      });
      return;
    }
    const { tensor, buffer, bias } = gate;
    const groups = Math.ceil(glu.cols / PANEL_ROWS);
    const normed = this.#norm(norm, buffer);
    const constants = { ACTIVATION, HAS_BIAS: bias !== undefined, ...normed.constants };
    this.#push({
      kernel: this.#sharingKernel(
        "gate_up",
        tensor,
        product.cols,
        groups,
        constants,
        "activations",
      ),
      params: [
        strides.x / 4,
        strides[glu.out],
        normed.start,
        glu.cols,
        gate.offset / WORD_BYTES,
        up.offset / WORD_BYTES,
        (gate.bias?.offset ?? 0) / 4,
        (up.bias?.offset ?? 0) / 4,
      ],
      at: 1,
      resources: [
        [0, buffer],
        [2, activations.x],
        [3, activations[glu.out]],
        [4, bias?.buffer ?? buffer],
        [5, normed.buffer],
      ],
      groups,
      sharing: this.#sharing,
    });
  }

  #attention({ store, attention }: Extract<DecodePart, { op: "attention" }>): void {
    const { activations, strides, layers, kv, ctx, plan, angles, rows, division } = this.#input;
    const { head_dim: HEAD_DIM, num_attention_heads: HEADS } = plan.config;
    const heads = { HEAD_DIM, HEADS, KV_HEADS: plan.config.num_key_value_heads, CTX: ctx };
    const [{ keys, values }] = layers[attention.layer];
    const { in: from, out, queryColumn } = attention;
    const divisions = { SPLIT: division.split, WHOLE: division.whole };
    let THREADS = ATTENTION_THREADS;
    while (THREADS < HEAD_DIM / 2) THREADS *= 2;
    const attend = (when: DecodeWhen, to: GPUBuffer, stride: number): void => {
      const isDivided = when === "divided";
      const constants = { ...heads, THREADS, ...(isDivided && divisions) };
      const { keyColumn, valueColumn } = store;
      this.#push({
        kernel: this.#kernel("attention_decode", constants, `cache/${kv}`),
        params: [strides[from], queryColumn, keyColumn, valueColumn, stride],
        resources: [
          [1, rows],
          [2, activations[from]],
          [3, angles],
          [4, keys],
          [5, values],
          [6, to],
        ],
        groups: HEADS,
        when,
        isDivided,
      });
    };
    if (ctx <= division.whole) {
      attend("always", activations[out], strides[out]);
      return;
    }
    attend("whole", activations[out], strides[out]);
    attend("divided", this.#input.divided, this.#input.dividedStride);
    this.#push({
      kernel: this.#kernel("attention_combine", { HEAD_DIM, HEADS, ...divisions }),
      params: [this.#input.dividedStride, strides[out]],
      resources: [
        [1, rows],
        [2, this.#input.divided],
        [3, activations[out]],
      ],
      groups: HEADS,
      when: "divided",
    });
  }

  #head({ norm, product }: Extract<DecodePart, { op: "head" }>): void {
    const { activations, strides, choices } = this.#input;
    const [{ weight, bias }] = product.parts;
    for (const LOGITS of [false, true]) {
      for (const shard of this.#shards(weight, bias, 0)) {
        const groups = Math.ceil(shard.rows / PANEL_ROWS);
        const normed = this.#norm(norm, shard.buffer);
        const constants = { LOGITS, HAS_BIAS: bias !== undefined, ...normed.constants };
        this.#push({
          kernel: this.#sharingKernel(
            "head",
            shard.tensor,
            product.cols,
            groups,
            constants,
            "noise",
          ),
          params: [
            strides.x / 4,
            strides.logits,
            normed.start,
            shard.offset / WORD_BYTES,
            shard.first,
            shard.rows,
            shard.bias ? shard.bias.offset / 4 + shard.first : 0,
            choices.bestStride,
          ],
          at: 1,
          resources: [
            [0, shard.buffer],
            [2, activations.x],
            [3, activations.logits],
            [4, shard.bias?.buffer ?? shard.buffer],
            [5, normed.buffer],
            [6, choices.draws],
            [7, choices.bests],
          ],
          groups,
          sharing: this.#sharing,
          when: LOGITS ? "logits" : "noLogits",
        });
      }
    }
  }

  /** With threads for its shape: few panels are divided among more. */
  #sharingKernel(
    op: ShaderName,
    tensor: PackedTensor,
    cols: number,
    groups: number,
    constants: KernelSpec["constants"],
    ...parts: readonly ShaderName[]
  ): Kernel {
    const isBlocks = tensor.form !== "f32" && tensor.form !== "bf16";
    const units = Math.ceil(cols / (isBlocks ? 32 : 4));
    let THREADS = FEWEST_THREADS;
    while (THREADS < MOST_THREADS && THREADS < units * LANES && THREADS * groups < WANTED_THREADS) {
      THREADS *= 2;
    }
    const all = { COLS: cols, THREADS, ROWS: this.#sharing, ...constants };
    const { subgroupSize: SUBGROUP } = this.#input;
    const read: ShaderName[] = [...formParts(tensor), "shared_input", ...parts];
    return SUBGROUP === undefined || THREADS % SUBGROUP > 0
      ? this.#kernel(op, all, "reduce", ...read)
      : this.#kernel(op, { ...all, SUBGROUP }, "reduce_subgroups", ...read);
  }

  #shards(weight: string, bias: string | undefined, column: number): ProductShard[] {
    const { weights } = this.#input;
    const tensor = weights.tensor(weight);
    const [found] = bias === undefined ? [] : weights.shards(bias);
    return weights.shards(weight).map((shard) => ({ ...shard, tensor, bias: found, column }));
  }

  #norm(
    weight: string | undefined,
    other: GPUBuffer,
  ): { start: number; buffer: GPUBuffer; constants: Record<string, number | boolean> } {
    if (weight === undefined) return { start: 0, buffer: other, constants: { NORM: false } };
    const [{ buffer, offset }] = this.#input.weights.shards(weight);
    const EPSILON = this.#input.plan.config.rms_norm_eps;
    return { start: offset / WORD_BYTES, buffer, constants: { NORM: true, EPSILON } };
  }
}

/** Shards of one form in one buffer, with biases in one buffer or without, in their order. */
function together(shards: readonly ProductShard[]): ProductShard[][] {
  const groups: ProductShard[][] = [];
  for (const shard of shards) {
    const group = groups.find(
      (members) =>
        members.length < MOST_PARTS &&
        members[0].tensor.form === shard.tensor.form &&
        members[0].buffer === shard.buffer &&
        members[0].bias?.buffer === shard.bias?.buffer,
    );
    if (group) group.push(shard);
    else groups.push([shard]);
  }
  return groups;
}
