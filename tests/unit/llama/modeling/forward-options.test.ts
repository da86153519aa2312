/**
 * Every combination of what `forward` takes gives, at real tokens, what each text gives alone, which is compared with
 * transformers in tests/parity.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  CausalLMOutputWithPast,
  CausalLmInputs,
  LlamaForCausalLM,
} from "../../../../src/llama/modeling/llama-for-causal-lm.ts";
import type { PretrainedOptions } from "../../../../src/llama/modeling/pretrained-options.ts";
import type { Tensor } from "../../../../src/llama/modeling/tensor.ts";
import { openGoldenModel } from "../../../support/golden-model.ts";
import { expectClose, models } from "../../../support/llama-models.ts";

const TEXTS = [
  [5, 60, 7, 80, 9, 100],
  [11, 12, 130],
];
const LENGTH = 6;
const HEADS = 4;

interface Combination {
  readonly backend: "reference" | "wasm";
  readonly side: "left" | "right";
  readonly embeds: boolean;
  /** Columns of each call. */
  readonly chunks: readonly number[];
  readonly positions: boolean;
  readonly use_cache: boolean;
  readonly outputs: boolean;
}

const flags = [false, true];
const combinations = (["reference", "wasm"] as const).flatMap((backend) =>
  (["left", "right"] as const).flatMap((side) =>
    [[LENGTH], [4, 2], [3, 1, 1, 1]].flatMap((chunks) =>
      flags.flatMap((embeds) =>
        flags.flatMap((positions) =>
          flags.flatMap((use_cache) =>
            flags.map(
              (outputs): Combination => ({
                backend,
                side,
                chunks,
                embeds,
                positions,
                use_cache,
                outputs,
              }),
            ),
          ),
        ),
      ),
    ),
  ),
);

/** Columns of the tokens of text b. */
function columnsOf(side: "left" | "right", b: number): number[] {
  const from = side === "left" ? LENGTH - TEXTS[b].length : 0;
  return TEXTS[b].map((_, i) => from + i);
}

function rowOf({ dims, data }: Tensor, b: number, column: number): Float32Array {
  const at = (b * dims[1] + column) * dims[2];
  return data.subarray(at, at + dims[2]);
}

describe.each(["reference", "wasm"] as const)("on %s", (backend) => {
  let model: LlamaForCausalLM;
  const alone: CausalLMOutputWithPast[] = [];
  const own = combinations.filter((one) => one.backend === backend);

  async function load(options: PretrainedOptions = {}): Promise<LlamaForCausalLM> {
    const checkpoint = await openGoldenModel("gqa");
    return models.LlamaForCausalLM.fromPretrained({ checkpoint }, { backend, ctx: 64, ...options });
  }

  beforeAll(async () => {
    model = await load();
    for (const text of TEXTS) {
      const inputs = { input_ids: [text], output_hidden_states: true, output_attentions: true };
      alone.push(await model.forward(inputs));
    }
  });
  afterAll(() => model.dispose());

  test.each(own)(
    "padding $side, embeds $embeds, chunks $chunks, positions $positions, use_cache $use_cache, outputs $outputs",
    async ({ side, embeds, chunks, positions, use_cache, outputs }) => {
      const ids = TEXTS.map((_, b) => {
        const row = Array<number>(LENGTH).fill(0);
        columnsOf(side, b).forEach((column, i) => {
          row[column] = TEXTS[b][i];
        });
        return row;
      });
      const mask = TEXTS.map((_, b) =>
        Array.from({ length: LENGTH }, (_, i) => (columnsOf(side, b).includes(i) ? 1 : 0)),
      );
      const position_ids = TEXTS.map((_, b) =>
        Array.from({ length: LENGTH }, (_, i) => Math.max(0, i - columnsOf(side, b)[0])),
      );
      let past: CausalLMOutputWithPast["past_key_values"];
      let from = 0;
      for (const [call, count] of chunks.entries()) {
        const to = from + count;
        const isLast = call === chunks.length - 1;
        const part = ids.map((row) => row.slice(from, to));
        const inputs: CausalLmInputs = {
          ...(embeds
            ? { inputs_embeds: await model.getInputEmbeddings().forward(part) }
            : { input_ids: part }),
          attention_mask: mask.map((row) => row.slice(0, to)),
          ...(positions && { position_ids: position_ids.map((row) => row.slice(from, to)) }),
          ...(past && { past_key_values: past }),
          use_cache: isLast ? use_cache : true,
          output_hidden_states: outputs,
          output_attentions: outputs,
          cache_position: Array.from({ length: count }, (_, i) => from + i),
          return_dict: true,
        };
        const given = past;
        const out = await model.forward(inputs);
        if (isLast && !use_cache) expect(out.past_key_values).toBeUndefined();
        else expect(out.past_key_values?.getSeqLength()).toBe(to);
        if (given) expect(given.getSeqLength()).toBe(to);
        past = out.past_key_values;
        expect(out.hidden_states?.length).toBe(outputs ? 5 : undefined);
        expect(out.attentions?.length).toBe(outputs ? 4 : undefined);

        for (const b of TEXTS.keys()) {
          const columns = columnsOf(side, b);
          for (const [i, column] of columns.entries()) {
            if (column < from || column >= to) continue;
            const at = column - from;
            expectClose(rowOf(out.logits, b, at), [...rowOf(alone[b].logits, 0, i)]);
            out.hidden_states?.forEach((states, layer) => {
              const expected = alone[b].hidden_states?.[layer] as Tensor;
              expectClose(rowOf(states, b, at), [...rowOf(expected, 0, i)]);
            });
            out.attentions?.forEach((weights, layer) => {
              expect(weights.dims).toEqual([2, HEADS, count, to]);
              const expected = alone[b].attentions?.[layer] as Tensor;
              const length = TEXTS[b].length;
              for (let head = 0; head < HEADS; head++) {
                const start = ((b * HEADS + head) * count + at) * to;
                const row = weights.data.subarray(start, start + to);
                const own = (head * length + i) * length;
                const wanted = Array.from({ length: to }, (_, key) => {
                  const place = columns.indexOf(key);
                  return place < 0 ? 0 : expected.data[own + place];
                });
                expectClose(row, wanted);
              }
            });
          }
        }
        from = to;
      }
      past?.release();
    },
  );

  test("both or neither of ids and embeddings is transformers' error", async () => {
    const says = {
      code: "bad_request",
      message: "You must specify exactly one of input_ids or inputs_embeds",
    };
    await expect(model.forward({})).rejects.toMatchObject(says);
    const inputs_embeds = await model.getInputEmbeddings().forward([[1]]);
    await expect(model.forward({ input_ids: [[1]], inputs_embeds })).rejects.toMatchObject(says);
  });

  test.each([
    [{ return_dict: false }, "unsupported", "return_dict"],
    [{ cache_position: [1] }, "bad_request", "cache_position"],
    [{ cache_position: [0, 1] }, "bad_request", "cache_position"],
    [{ position_ids: [[64]] }, "bad_request", undefined],
    [{ attention_mask: [[1, 1]] }, "bad_request", "attention_mask"],
    [{ attention_mask: [[2]] }, "bad_request", "attention_mask"],
    [{ labels: [[512]] }, "bad_request", "labels"],
    [{ logits_to_keep: -1 }, "bad_request", "logits_to_keep"],
  ] as const)("refuses %o", async (inputs, code, param) => {
    const running = model.forward({ input_ids: [[1]], ...(inputs as object) });
    await expect(running).rejects.toMatchObject({ code, param });
  });

  test("what the configuration says is the default", async () => {
    const checkpoint = await openGoldenModel("gqa");
    const fields = { use_cache: false, output_hidden_states: true, output_attentions: true };
    const config = { ...checkpoint.config, ...fields };
    const other = await models.LlamaForCausalLM.fromPretrained(
      { checkpoint: { ...checkpoint, config } },
      { backend },
    );
    const out = await other.forward({ input_ids: [[1, 2]] });
    expect(Object.keys(out).sort()).toEqual(["attentions", "hidden_states", "logits"]);
    const asked = { use_cache: true, output_hidden_states: false, output_attentions: false };
    const less = await other.forward({ input_ids: [[1, 2]], ...asked });
    expect(Object.keys(less).sort()).toEqual(["logits", "past_key_values"]);
    other.dispose();
  });

  test("of two calls at once with one cache the second is refused", async () => {
    const { past_key_values } = await model.forward({ input_ids: [[1, 2]] });
    const [first, second] = await Promise.allSettled([
      model.forward({ input_ids: [[3]], past_key_values }),
      model.forward({ input_ids: [[4]], past_key_values }),
    ]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({ reason: { code: "bad_request", param: "past_key_values" } });
    expect(past_key_values?.getSeqLength()).toBe(3);
  });
});
