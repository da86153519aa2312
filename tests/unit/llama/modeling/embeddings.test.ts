/** resizeTokenEmbeddings against transformers, and the padding rules of the Llama 2 page. */
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { openHfDirectory } from "../../../../src/checkpoints/hf-directory.ts";
import { LlamaConfig } from "../../../../src/llama/llama-config.ts";
import type { LlamaForCausalLM } from "../../../../src/llama/modeling/llama-for-causal-lm.ts";
import type { PretrainedOptions } from "../../../../src/llama/modeling/pretrained-options.ts";
import type { Tensor } from "../../../../src/llama/modeling/tensor.ts";
import { LlamaTokenizerFast } from "../../../../src/llama/tokenizer/llama-tokenizer-fast.ts";
import { directoryFolder } from "../../../../src/platform/host/directory.ts";
import { nodeHost } from "../../../../src/platform/node/host.ts";
import { openGoldenModel } from "../../../support/golden-model.ts";
import { expectClose, models } from "../../../support/llama-models.ts";
import { memoryFolder } from "../../../support/memory-folder.ts";

interface Case {
  readonly name: string;
  readonly inputs: {
    readonly model: string;
    readonly new_num_tokens: number | null;
    readonly pad_to_multiple_of: number | null;
  };
  readonly outputs: {
    readonly vocab_size: number;
    readonly num_embeddings: number;
    readonly last_row: number[];
    readonly head_rows: number | null;
    readonly last_head_row: number[] | null;
    readonly logits: number[] | null;
  };
}

const path = new URL("../../../goldens/resized_embeddings/golden.json", import.meta.url);
const cases: Case[] = JSON.parse(readFileSync(path, "utf8")).cases;

async function causal(name: string, options?: PretrainedOptions): Promise<LlamaForCausalLM> {
  const checkpoint = await openGoldenModel(name);
  return models.LlamaForCausalLM.fromPretrained({ checkpoint }, options);
}

const row = ({ dims, data }: Tensor, index: number): number[] => [
  ...data.subarray(index * dims[1], (index + 1) * dims[1]),
];

/** transformers adds noise of 3e-5 deviations to the mean of new rows. */
function expectNear(found: readonly number[], expected: readonly number[], most: number): void {
  expect(found).toHaveLength(expected.length);
  const largest = found.reduce((sum, x, i) => Math.max(sum, Math.abs(x - expected[i])), 0);
  expect(largest).toBeLessThan(most);
}

describe.each(["reference", "wasm"] as const)("on %s, as transformers", (backend) => {
  test.each(cases)("$name", async ({ inputs, outputs }) => {
    const checkpoint = await openGoldenModel(inputs.model);
    const isCausal = inputs.model !== "qa";
    const Model = isCausal ? models.LlamaForCausalLM : models.LlamaForQuestionAnswering;
    const model = await Model.fromPretrained({ checkpoint }, { backend });
    const { new_num_tokens, pad_to_multiple_of } = inputs;
    const found = await model.resizeTokenEmbeddings(new_num_tokens, { pad_to_multiple_of });

    expect(model.config.vocab_size).toBe(outputs.vocab_size);
    expect(found.num_embeddings).toBe(outputs.num_embeddings);
    expectNear(row(await found.weight(), outputs.num_embeddings - 1), outputs.last_row, 3e-4);
    const head = model.getOutputEmbeddings();
    expect(head?.num_embeddings ?? null).toBe(outputs.head_rows);
    if (head && outputs.last_head_row) {
      const last = row(await head.weight(), head.num_embeddings - 1);
      expectNear(last, outputs.last_head_row, 3e-4);
    }
    if (outputs.logits) {
      const { logits } = await (model as LlamaForCausalLM).forward({
        input_ids: [[5, 6, 7]],
        logits_to_keep: 1,
      });
      const kept = Math.min(outputs.vocab_size, Number(checkpoint.config.vocab_size));
      expectClose([...logits.data].slice(0, kept), outputs.logits.slice(0, kept));
      // Sums of rows with noise.
      expectNear([...logits.data].slice(kept), outputs.logits.slice(kept), 5e-3);
    }
    model.dispose();
  });
});

describe("resizing", () => {
  test.each(["none", "q8", "q4"] as const)(
    "keeps the rows that stay, of %s weights",
    async (quantization) => {
      const model = await causal("gqa", { quantization });
      const before = await model.getInputEmbeddings().weight();
      const headBefore = await model.getOutputEmbeddings()?.weight();
      const { logits } = await model.forward({ input_ids: [[1, 2, 3]] });
      await model.resizeTokenEmbeddings(523);
      await model.resizeTokenEmbeddings(530, { mean_resizing: false, seed: 5 });
      const after = await model.getInputEmbeddings().weight();
      expect(after.data.subarray(0, before.data.length)).toEqual(before.data);
      const headAfter = await model.getOutputEmbeddings()?.weight();
      expect(headAfter?.data.subarray(0, before.data.length)).toEqual(headBefore?.data);
      expect(headAfter?.dims).toEqual([530, 64]);
      await model.resizeTokenEmbeddings(512);
      expect((await model.forward({ input_ids: [[1, 2, 3]] })).logits).toEqual(logits);
      model.dispose();
    },
  );

  test("draws rows as at initialization where the mean is not wanted, by seed", async () => {
    const rows: number[][] = [];
    for (const seed of [1, 1, 2]) {
      const model = await causal("gqa");
      const table = await model.resizeTokenEmbeddings(600, { mean_resizing: false, seed });
      const { data } = await table.weight();
      const added = data.subarray(512 * 64);
      const deviation = Math.sqrt(added.reduce((sum, x) => sum + x * x, 0) / added.length);
      expect(deviation).toBeGreaterThan(0.019);
      expect(deviation).toBeLessThan(0.021);
      rows.push([...added]);
      model.dispose();
    }
    expect(rows[0]).toEqual(rows[1]);
    expect(rows[0]).not.toEqual(rows[2]);
  });

  test("goes on with caches and generation, and new ids run", async () => {
    const model = await causal("gqa");
    const first = await model.forward({ input_ids: [[5, 6, 7]] });
    const past_key_values = first.past_key_values?.clone();
    const expected = await model.forward({
      input_ids: [[8]],
      past_key_values: first.past_key_values,
    });
    await expect(model.forward({ input_ids: [[512]] })).rejects.toThrow("512");
    await model.resizeTokenEmbeddings(513);
    const found = await model.forward({ input_ids: [[8]], past_key_values });
    expect(found.logits.data.subarray(0, 512)).toEqual(expected.logits.data);
    const ids = await model.generate({
      input_ids: [[512, 5]],
      max_new_tokens: 4,
      eos_token_id: null,
    });
    expect(ids[0]).toHaveLength(6);
    model.dispose();
  });

  test("of a model that is made at random works before its first use", async () => {
    const config = new LlamaConfig({
      vocab_size: 32,
      hidden_size: 32,
      intermediate_size: 64,
      num_hidden_layers: 1,
      num_attention_heads: 2,
    });
    const model = new models.LlamaForCausalLM(config);
    await model.resizeTokenEmbeddings(33);
    expect(config.vocab_size).toBe(33);
    const { logits } = await model.forward({ input_ids: [[32]] });
    expect(logits.dims).toEqual([1, 1, 33]);
    model.dispose();
  });

  test("takes arguments by place, as Python has them", async () => {
    const model = await causal("gqa");
    expect((await model.resizeTokenEmbeddings(513, 64)).num_embeddings).toBe(576);
    expect((await model.resizeTokenEmbeddings(null, 100)).num_embeddings).toBe(600);
    const drawn = await model.resizeTokenEmbeddings(601, null, false);
    const named = await causal("gqa");
    await named.resizeTokenEmbeddings(600, { pad_to_multiple_of: 64 });
    await named.resizeTokenEmbeddings(600);
    await named.resizeTokenEmbeddings(601, { mean_resizing: false });
    expect(row(await drawn.weight(), 600)).toEqual(
      row(await named.getInputEmbeddings().weight(), 600),
    );
    const ids = [3, 4, 5];
    const tensor = { data: Int32Array.from(ids), shape: [1, 3] };
    const table = model.getInputEmbeddings();
    expect(await table.forward(tensor)).toEqual(await table.forward([ids]));
    model.dispose();
    named.dispose();
  });

  test.each([[0], [-1], [1.5]])("refuses %d rows", async (rows) => {
    const model = await causal("gqa");
    await expect(model.resizeTokenEmbeddings(rows)).rejects.toMatchObject({
      code: "bad_request",
      param: "new_num_tokens",
    });
    await expect(
      model.resizeTokenEmbeddings(600, { pad_to_multiple_of: rows }),
    ).rejects.toMatchObject({ param: "pad_to_multiple_of" });
    expect(model.config.vocab_size).toBe(512);
    model.dispose();
  });

  test("that does not fit leaves the model as it was", async () => {
    const model = await causal("gqa");
    const { logits } = await model.forward({ input_ids: [[1, 2]] });
    await expect(model.resizeTokenEmbeddings(16_000_000)).rejects.toMatchObject({
      code: "out_of_memory",
    });
    expect(model.config.vocab_size).toBe(512);
    expect((await model.forward({ input_ids: [[1, 2]] })).logits).toEqual(logits);
    model.dispose();
  });

  test("lets go of the memory of before", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const model = await causal("gqa");
    const used = async (): Promise<number> => {
      // Finalizers of a memory run in a task after the collection.
      for (let i = 0; i < 3; i++) {
        collect();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const { external, arrayBuffers } = process.memoryUsage();
      return external + arrayBuffers;
    };
    await model.resizeTokenEmbeddings(513);
    const before = await used();
    for (let i = 0; i < 20; i++) await model.resizeTokenEmbeddings(514 + (i % 2));
    const own = await model.getInputEmbeddings().weight();
    expect(own.dims).toEqual([515, 64]);
    expect((await used()) - before).toBeLessThan(5e6);
    model.dispose();
  }, 30_000);
});

describe("other tables", () => {
  test("setInputEmbeddings and setOutputEmbeddings take every value as it is", async () => {
    for (const quantization of ["none", "q4"] as const) {
      const model = await causal("gqa", { quantization });
      const { data } = await model.getInputEmbeddings().weight();
      const table = { dims: [512, 64], data: data.map((x, i) => x * 1.5 + i / 1e6) };
      await model.setInputEmbeddings(table);
      expect((await model.getInputEmbeddings().weight()).data).toEqual(table.data);
      await model.setOutputEmbeddings(table);
      expect((await model.getOutputEmbeddings()?.weight())?.data).toEqual(table.data);
      const embeds = await model.getInputEmbeddings().forward([[3, 4, 5]]);
      const byIds = await model.forward({ input_ids: [[3, 4, 5]] });
      const byEmbeds = await model.forward({ inputs_embeds: embeds });
      expect(byIds.logits).toEqual(byEmbeds.logits);
      await expect(model.setInputEmbeddings({ dims: [2, 64], data })).rejects.toThrow("(2, 64)");
      const broken = { dims: [512, 64], data: table.data.map(() => Number.NaN) };
      await expect(model.setInputEmbeddings(broken)).rejects.toThrow("infinite or NaN");
      expect((await model.forward({ input_ids: [[3, 4, 5]] })).logits).toEqual(byIds.logits);
      model.dispose();
    }
  });

  test("tied tables are one; models without a language model's head have none", async () => {
    const tied = await causal("tied");
    const weight = await tied.getInputEmbeddings().weight();
    expect(await tied.getOutputEmbeddings()?.weight()).toEqual(weight);
    await tied.setInputEmbeddings({ ...weight, data: weight.data.map((x) => -x) });
    expect((await tied.getOutputEmbeddings()?.weight())?.data[0]).toBe(-weight.data[0]);
    tied.dispose();
    const bare = await models.LlamaModel.fromPretrained({
      checkpoint: await openGoldenModel("gqa"),
    });
    expect(bare.getOutputEmbeddings()).toBeNull();
    await expect(bare.setOutputEmbeddings(weight)).rejects.toMatchObject({ code: "unsupported" });
    await expect(bare.getInputEmbeddings().forward([[512]])).rejects.toThrow("512");
    bare.dispose();
  });
});

describe("padding, as the Llama 2 page has it", () => {
  test("pad_token_id -1 is none", () => {
    expect(new LlamaConfig({ pad_token_id: -1 }).pad_token_id).toBeNull();
  });

  test.each(["before", "after"])(
    "a new padding token's row is zero, named %s resizing",
    async (when) => {
      for (const [name, quantization] of [
        ["gqa", "none"],
        ["tied", "none"],
        ["gqa", "q4"],
      ] as const) {
        const model = await causal(name, { quantization });
        const id = model.config.vocab_size;
        if (when === "before") model.config.pad_token_id = id;
        await model.resizeTokenEmbeddings(id + 2);
        if (when === "after") model.config.pad_token_id = id;
        const table = await model.getInputEmbeddings().weight();
        expect(row(table, id).every((x) => x === 0)).toBe(true);
        expect(row(table, id + 1).some((x) => x === 0)).toBe(false);
        expect(model.getInputEmbeddings().padding_idx).toBe(id);
        model.dispose();
      }
    },
  );

  test("a padding token that the model has keeps its row", async () => {
    const model = await causal("gqa");
    const before = row(await model.getInputEmbeddings().weight(), 5);
    model.config.pad_token_id = 5;
    const table = await model.resizeTokenEmbeddings(520);
    expect(row(await table.weight(), 5)).toEqual(before);
    model.dispose();
  });

  test("the token, its row and config.pad_token_id are there again after saving and loading", async () => {
    const model = await causal("gqa");
    await model.resizeTokenEmbeddings(513);
    model.config.pad_token_id = 512;
    const folder = memoryFolder();
    await model.savePretrained(folder);
    const checkpoint = await openHfDirectory(folder);
    const again = await models.LlamaForCausalLM.fromPretrained({ checkpoint });
    expect(again.config).toMatchObject({ pad_token_id: 512, vocab_size: 513 });
    const table = await again.getInputEmbeddings().weight();
    expect(row(table, 512).every((x) => x === 0)).toBe(true);
    expect(table).toEqual(await model.getInputEmbeddings().weight());
    model.dispose();
    again.dispose();
  });

  test.each([
    ["lists it", { "<pad>": 500 }, true],
    ["lists another", { "<pad>": 501 }, false],
  ])(
    "the loader makes the padding's row zero where added_tokens.json %s",
    async (_, added, isZero) => {
      const golden = await openGoldenModel("gqa");
      const checkpoint = {
        ...golden,
        config: { ...golden.config, pad_token_id: 500 },
        files: new Map([
          [
            "added_tokens.json",
            { read: async () => new TextEncoder().encode(JSON.stringify(added)) },
          ],
        ]),
      };
      const model = await models.LlamaForCausalLM.fromPretrained({ checkpoint });
      const plain = await causal("gqa");
      const expected = await plain.getInputEmbeddings().weight();
      if (isZero) expected.data.fill(0, 500 * 64, 501 * 64);
      expect(await model.getInputEmbeddings().weight()).toEqual(expected);
      model.dispose();
      plain.dispose();
    },
  );

  test("of a tokenizer's new <pad> the token, the row and the id are kept by both sides' savePretrained", async () => {
    const path = new URL("../../../goldens/tokenizers/llama2_sp/fast", import.meta.url).pathname;
    const tokenizer = await LlamaTokenizerFast.fromPretrained(directoryFolder(nodeHost, path));
    expect(tokenizer.pad_token).toBeNull();
    const vocab_size = tokenizer.length;
    const sizes = { hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1 };
    const config = new LlamaConfig({ vocab_size, ...sizes, num_attention_heads: 2 });
    const model = new models.LlamaForCausalLM(config);
    tokenizer.addSpecialTokens({ pad_token: "<pad>" });
    await model.resizeTokenEmbeddings(tokenizer.length);
    model.config.pad_token_id = tokenizer.pad_token_id ?? null;
    const folder = memoryFolder();
    await model.savePretrained(folder);
    await tokenizer.savePretrained((name, bytes) => void folder.files.set(name, bytes));

    const savedTokenizer = await LlamaTokenizerFast.fromPretrained(folder);
    const saved = await models.LlamaForCausalLM.fromPretrained(folder);
    expect([savedTokenizer.pad_token, savedTokenizer.pad_token_id]).toEqual(["<pad>", vocab_size]);
    expect(saved.config.pad_token_id).toBe(vocab_size);
    expect(saved.config.vocab_size).toBe(savedTokenizer.length);
    const { input_ids, attention_mask } = savedTokenizer.call(["Hello", "Hello this is a test"], {
      padding: true,
    });
    expect((input_ids as number[][])[0]).toContain(vocab_size);
    const embeds = await saved.getInputEmbeddings().forward([[vocab_size]]);
    expect(embeds.data.every((x) => x === 0)).toBe(true);
    const { logits } = await saved.forward({
      input_ids: input_ids as number[][],
      attention_mask: attention_mask as number[][],
    });
    expect(logits.dims[2]).toBe(vocab_size + 1);
    model.dispose();
    saved.dispose();
  });

  test("left and right padding give the logits of no padding", async () => {
    const model = await causal("gqa");
    await model.resizeTokenEmbeddings(513);
    model.config.pad_token_id = 512;
    const ids = [7, 8, 9, 10];
    const { logits } = await model.forward({ input_ids: [ids] });
    const at = ({ data, dims }: Tensor, b: number, from: number): number[] => [
      ...data.subarray((b * dims[1] + from) * dims[2], (b * dims[1] + from + 4) * dims[2]),
    ];
    const padded = await model.forward({
      input_ids: [
        [512, 512, ...ids],
        [...ids, 512, 512],
      ],
      attention_mask: [
        [0, 0, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0],
      ],
    });
    expectClose(at(padded.logits, 0, 2), [...logits.data]);
    expectClose(at(padded.logits, 1, 0), [...logits.data]);
    model.dispose();
  });
});

describe("a disposed model", () => {
  const says = { code: "engine_failed", message: "the model was disposed" };

  test("says so, whatever is asked of it", async () => {
    const model = await causal("gqa");
    const table = model.getInputEmbeddings();
    const { past_key_values } = await model.forward({ input_ids: [[1]] });
    model.dispose();
    model.dispose();
    await expect(model.forward({ input_ids: [[1]] })).rejects.toMatchObject(says);
    await expect(model.generate({ input_ids: [[1]] })).rejects.toMatchObject(says);
    await expect(model.savePretrained(memoryFolder())).rejects.toMatchObject(says);
    await expect(model.resizeTokenEmbeddings(600)).rejects.toMatchObject(says);
    await expect(table.weight()).rejects.toMatchObject(says);
    await expect(past_key_values?.layer(0)).rejects.toMatchObject(says);
    past_key_values?.release();
    past_key_values?.clone();
  });

  test("fails what is waiting, and makes no weights any more", async () => {
    const model = await causal("gqa");
    const waiting = [model.forward({ input_ids: [[1]] }), model.resizeTokenEmbeddings(600)];
    model.dispose();
    for (const result of waiting) await expect(result).rejects.toMatchObject(says);
    const random = new models.LlamaModel(new LlamaConfig());
    random.dispose();
    await expect(random.forward({ input_ids: [[1]] })).rejects.toMatchObject(says);
  });

  test.each(["reference", "wasm"] as const)("ends what is generated, on %s", async (backend) => {
    const model = await causal("gqa", { backend });
    let tokens = 0;
    const streamer = {
      put: () => {
        if (++tokens === 3) model.dispose();
      },
      end: () => {},
    };
    const running = model.generate({
      input_ids: [[1, 2]],
      max_new_tokens: 20,
      eos_token_id: null,
      streamer,
    });
    await expect(running).rejects.toMatchObject(says);
    expect(tokens).toBe(3);
  });

  test("is freed", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const model = await causal("gqa");
    const own = async (): Promise<WeakRef<object>> => {
      const { past_key_values } = await model.forward({ input_ids: [[1]] });
      const layer = await past_key_values?.layer(0);
      expect(layer?.keys.dims).toEqual([1, 2, 1, 16]);
      return new WeakRef((model as unknown as { core: { runner: object } }).core.runner);
    };
    const runner = await own();
    model.dispose();
    for (let i = 0; i < 5 && runner.deref(); i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      collect();
    }
    expect(runner.deref()).toBeUndefined();
    expect(model.backend).toBe("wasm");
  });
});
