/** Models made of a configuration: weights from a seed, in every class. */
import { describe, expect, test } from "vitest";
import { openHfDirectory } from "../../../../src/checkpoints/hf-directory.ts";
import { LlamaConfig, type LlamaConfigFields } from "../../../../src/llama/llama-config.ts";
import { LlamaModel as UnboundLlamaModel } from "../../../../src/llama/modeling/llama-model.ts";
import { models } from "../../../support/llama-models.ts";
import { memoryFolder } from "../../../support/memory-folder.ts";

const config = (fields: LlamaConfigFields = {}): LlamaConfig =>
  new LlamaConfig({
    vocab_size: 300,
    hidden_size: 64,
    intermediate_size: 160,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
    pad_token_id: 7,
    ...fields,
  });

const input_ids = [[1, 20, 30, 40]];

describe.each(["reference", "wasm"] as const)("on %s", (backend) => {
  test("each class runs, the same for the same seed", async () => {
    for (const name of Object.keys(models).filter(
      (key) => key in models,
    ) as (keyof typeof models)[]) {
      const outputs: string[] = [];
      for (const seed of [3, 3, 4]) {
        const model = new models[name](config(), { seed, backend });
        expect(model.backend).toBe(backend);
        const { past_key_values: _, ...out } = await model.forward({ input_ids });
        outputs.push(JSON.stringify(out));
        model.dispose();
      }
      expect(outputs[0]).toBe(outputs[1]);
      expect(outputs[0]).not.toBe(outputs[2]);
      expect(outputs[0]).not.toMatch(/null/);
    }
  });

  test("generates, is saved, and loads again to the same logits", async () => {
    const model = new models.LlamaForCausalLM(config({ eos_token_id: 2 }), { backend });
    const ids = await model.generate({ input_ids, max_new_tokens: 5, eos_token_id: null });
    expect(ids[0]).toHaveLength(9);
    expect(model.generation_config.eos_token_id).toBe(2);
    const folder = memoryFolder();
    await model.savePretrained(folder);
    const checkpoint = await openHfDirectory(folder);
    expect(checkpoint.generation_config).toMatchObject({ eos_token_id: 2, pad_token_id: 7 });
    const again = await models.LlamaForCausalLM.fromPretrained({ checkpoint }, { backend });
    const [found, expected] = [
      await again.forward({ input_ids }),
      await model.forward({ input_ids }),
    ];
    expect(found.logits).toEqual(expected.logits);
    expect(again.config.toJSON()).toMatchObject({ pad_token_id: 7, vocab_size: 300 });
    model.dispose();
    again.dispose();
  });
});

test("weights are normal with initializer_range, norms one, biases and the padding's row zero", async () => {
  const model = new models.LlamaForTokenClassification(
    config({ initializer_range: 0.5, attention_bias: true, vocab_size: 4000 }),
    { seed: 1 },
  );
  const folder = memoryFolder();
  await model.savePretrained(folder);
  const { tensors } = await openHfDirectory(folder);
  const read = async (name: string): Promise<Float32Array> => {
    const tensor = tensors.get(name)!;
    const values = new Float32Array(tensor.shape.reduce((product, dim) => product * dim, 1));
    await tensor.readRows(0, tensor.shape[0], new Uint8Array(values.buffer));
    return values;
  };
  for (const name of tensors.keys()) {
    const values = await read(name);
    if (name.endsWith(".bias")) expect(values.every((x) => x === 0)).toBe(true);
    else if (name.includes("norm")) expect(values.every((x) => x === 1)).toBe(true);
    else {
      const count = values.length;
      const mean = values.reduce((sum, x) => sum + x, 0) / count;
      const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / count);
      // Four standard errors.
      expect(Math.abs(mean)).toBeLessThan((4 * 0.5) / Math.sqrt(count));
      expect(Math.abs(deviation - 0.5)).toBeLessThan((4 * 0.5) / Math.sqrt(2 * count));
    }
  }
  const table = await read("model.embed_tokens.weight");
  expect(table.subarray(7 * 64, 8 * 64).every((x) => x === 0)).toBe(true);
  expect(table.subarray(8 * 64, 9 * 64).some((x) => x === 0)).toBe(false);
  // The tails of a normal distribution: 0.27 % beyond three deviations.
  const beyond = table.filter((x) => Math.abs(x) > 1.5).length / table.length;
  expect(beyond).toBeGreaterThan(0.0022);
  expect(beyond).toBeLessThan(0.0032);
  model.dispose();
});

test("the first numbers of a seed are the same on every runtime", async () => {
  const model = new UnboundLlamaModel(config(), { seed: 5, backend: "reference" });
  const { data } = await model.getInputEmbeddings().forward([[0, 299]]);
  expect([...data.subarray(0, 3), ...data.subarray(64, 67)]).toMatchInlineSnapshot(`
    [
      -0.009220645762979984,
      0.013743259012699127,
      -0.00822947733104229,
      0.008723216131329536,
      -0.027472959831357002,
      -0.012473320588469505,
    ]
  `);
  model.dispose();
});

test("quantization, slots and context are as for a loaded model", async () => {
  const model = new models.LlamaModel(config(), { quantization: "q8", slots: 1, ctx: 8 });
  const run = (batch: number, length: number): Promise<unknown> =>
    model.forward({ input_ids: Array.from({ length: batch }, () => Array(length).fill(1)) });
  await run(1, 8);
  await expect(run(2, 1)).rejects.toThrow("slots");
  await expect(run(1, 9)).rejects.toThrow("context");
  await expect(model.forward({ input_ids, output_attentions: true })).rejects.toThrow("int16");
  model.dispose();
});

test("what cannot run is refused: by the constructor, else by the first use, each time", async () => {
  const broken = config();
  broken.num_key_value_heads = 3;
  expect(() => new models.LlamaModel(broken)).toThrow("num_key_value_heads");
  const large = new models.LlamaForCausalLM(new LlamaConfig());
  for (let i = 0; i < 2; i++) {
    await expect(large.forward({ input_ids })).rejects.toMatchObject({ code: "out_of_memory" });
  }
  const unbound = new UnboundLlamaModel(config());
  await expect(unbound.forward({ input_ids })).rejects.toMatchObject({ code: "unsupported" });
});
