/** Caches as bytes, cut and copied: what goes on from them is to the last bit what would have come. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KvCache } from "../../../../src/llama/modeling/kv-cache.ts";
import type {
  CausalLmInputs,
  LlamaForCausalLM,
} from "../../../../src/llama/modeling/llama-for-causal-lm.ts";
import type { PretrainedOptions } from "../../../../src/llama/modeling/pretrained-options.ts";
import { sha256, subtleDigest } from "../../../../src/pack/digest.ts";
import { openGoldenModel } from "../../../support/golden-model.ts";
import { models } from "../../../support/llama-models.ts";

async function causal(name: string, options: PretrainedOptions = {}): Promise<LlamaForCausalLM> {
  const checkpoint = await openGoldenModel(name);
  return models.LlamaForCausalLM.fromPretrained({ checkpoint }, { ctx: 64, slots: 4, ...options });
}

const START: CausalLmInputs = {
  input_ids: [
    [5, 6, 7, 8, 9],
    [10, 11, 12, 13, 14],
  ],
  attention_mask: [
    [0, 0, 1, 1, 1],
    [1, 1, 1, 1, 1],
  ],
};
const NEXT: CausalLmInputs = {
  input_ids: [[1], [2]],
  attention_mask: [
    [0, 0, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1],
  ],
};

describe.each([
  ["gqa", { backend: "reference" }],
  ["gqa", { backend: "wasm" }],
  ["gqa", { backend: "wasm", quantization: "q4" }],
  ["rope_dynamic", { backend: "wasm" }],
  ["rope_longrope", { backend: "reference" }],
] as [string, PretrainedOptions][])("%s %o", (name, options) => {
  test("serialized, goes on in another model of the same weights to the same bits", async () => {
    const model = await causal(name, options);
    const { past_key_values: past } = await model.forward(START);
    const bytes = await (past as KvCache).serialize();
    const other = await causal(name, options);
    const restored = await KvCache.deserialize(bytes, other);
    expect(restored.getSeqLength()).toBe(5);
    const expected = await model.forward({ ...NEXT, past_key_values: past });
    const found = await other.forward({ ...NEXT, past_key_values: restored });
    expect(found.logits).toEqual(expected.logits);
    expect(await restored.layer(1)).toEqual(await (past as KvCache).layer(1));

    // Lost slots are computed again, from what came with the bytes.
    const again = await other.loadCache(bytes);
    again.release();
    expect((await other.forward({ ...NEXT, past_key_values: again })).logits).toEqual(
      expected.logits,
    );
    expect(await sha256(await (await other.loadCache(bytes)).serialize())).toBe(
      await sha256(bytes),
    );
    model.dispose();
    other.dispose();
  });
});

describe("on one model", () => {
  let model: LlamaForCausalLM;
  beforeAll(async () => {
    model = await causal("gqa");
  });
  afterAll(() => model.dispose());

  test("embeddings, trees and positions of one's own are kept, too", async () => {
    const table = model.getInputEmbeddings();
    const tree = await model.forward({
      inputs_embeds: await table.forward([[5, 6, 7]]),
      position_ids: [[0, 1, 1]],
      attention_mask: [
        [
          [
            [1, 0, 0],
            [1, 1, 0],
            [1, 0, 1],
          ],
        ],
      ],
    });
    const past = tree.past_key_values as KvCache;
    const restored = await model.loadCache(await past.serialize());
    restored.release();
    past.release();
    const next = { input_ids: [[9]], position_ids: [[2]], attention_mask: [[[[1, 1, 0, 1]]]] };
    const expected = await model.forward({ ...next, past_key_values: past });
    const found = await model.forward({ ...next, past_key_values: restored });
    expect(found.logits).toEqual(expected.logits);
  });

  test("an empty batch of columns and a cut cache are whole caches", async () => {
    const { past_key_values: past } = await model.forward(START);
    const cache = past as KvCache;
    cache.truncate(3);
    const restored = await model.loadCache(await cache.serialize());
    expect(restored.getSeqLength()).toBe(3);
    const next = {
      input_ids: [[1], [2]],
      attention_mask: [
        [0, 0, 1, 1],
        [1, 1, 1, 1],
      ],
    };
    const expected = await model.forward({ ...next, past_key_values: cache });
    expect((await model.forward({ ...next, past_key_values: restored })).logits).toEqual(
      expected.logits,
    );
    cache.crop(-4);
    expect(cache.getSeqLength()).toBe(0);
    expect((await model.loadCache(await cache.serialize())).getSeqLength()).toBe(0);
    cache.crop(-9);
    expect(cache.getSeqLength()).toBe(0);
  });

  test("of another model, changed, cut short or of another version is refused", async () => {
    const { past_key_values: past } = await model.forward(START);
    const bytes = await (past as KvCache).serialize();
    const other = await causal("mha");
    await expect(other.loadCache(bytes)).rejects.toMatchObject({ code: "bad_request" });
    other.dispose();
    const quantized = await causal("gqa", { quantization: "q8" });
    await expect(quantized.loadCache(bytes)).rejects.toThrow("another model");
    quantized.dispose();
    const small = await causal("gqa", { slots: 1 });
    await expect(small.loadCache(bytes)).rejects.toThrow("2 sequences");
    small.dispose();

    for (const at of [20, 400, bytes.length - 40, bytes.length - 1]) {
      const changed = bytes.slice();
      changed[at] ^= 1;
      await expect(model.loadCache(changed)).rejects.toMatchObject({ code: "corrupt" });
    }
    await expect(model.loadCache(bytes.slice(0, -1))).rejects.toMatchObject({ code: "corrupt" });
    for (const none of [bytes.slice(0, 8), new Uint8Array(0), new Uint8Array(100)]) {
      await expect(model.loadCache(none)).rejects.toMatchObject({ code: "bad_format" });
    }
    const later = bytes.slice();
    later[7] = 9;
    await expect(model.loadCache(later)).rejects.toThrow("version 9; reads: 2");
  });

  /** The bytes with another header, their hash made anew: as someone would write them on purpose. */
  async function withHeader(
    bytes: Uint8Array,
    change: (header: Record<string, never>) => unknown,
  ): Promise<Uint8Array> {
    const size = new DataView(bytes.buffer).getUint32(8, true);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(12, 12 + size)));
    const json = new TextEncoder().encode(JSON.stringify(change(header) ?? header));
    const body = bytes.subarray(12 + size, -32);
    const out = new Uint8Array(12 + json.length + body.length + 32);
    out.set(bytes.subarray(0, 8));
    new DataView(out.buffer).setUint32(8, json.length, true);
    out.set(json, 12);
    out.set(body, 12 + json.length);
    out.set(new Uint8Array(await subtleDigest(out.subarray(0, -32))), out.length - 32);
    return out;
  }

  // biome-ignore lint/suspicious/noExplicitAny: headers that are wrong on purpose
  const wrong: [string, (header: any) => unknown][] = [
    ["no object", () => 5],
    ["no sequences", (header) => ({ ...header, sequences: 3 })],
    ["a length that is negative", (header) => ({ ...header, length: -1 })],
    ["columns beyond the length", (header) => void (header.length = 2)],
    ["columns that fall", (header) => void header.sequences[1].columns.reverse()],
    ["columns without inputs", (header) => void header.sequences[1].inputs.pop()],
    ["an id outside the vocabulary", (header) => void (header.sequences[1].inputs[0].ids[0] = 512)],
    [
      "a position outside the context",
      (header) => void (header.sequences[1].inputs[0].positions[0] = 64),
    ],
    ["lists of other lengths", (header) => void header.sequences[1].inputs[0].ids.pop()],
    [
      "embeddings that are not there",
      (header) => void (header.sequences[1].inputs[0].embeds = true),
    ],
    ["a mask of another size", (header) => void (header.sequences[1].inputs[0].visible = 7)],
    ["layers of another size", (header) => void (header.sequences[1].layer -= 4)],
    ["layers beyond the end", (header) => void (header.sequences[0].layer = 1e15)],
  ];
  test.each(wrong)("%s is refused", async (_, change) => {
    const { past_key_values: past } = await model.forward(START);
    const bytes = await (past as KvCache).serialize();
    expect(await model.loadCache(await withHeader(bytes, () => undefined))).toBeInstanceOf(KvCache);
    const loading = model.loadCache(await withHeader(bytes, change));
    await expect(loading).rejects.toMatchObject({ code: "bad_format" });
    // And its slots are free again.
    expect((await model.loadCache(bytes)).getSeqLength()).toBe(5);
  });
});
