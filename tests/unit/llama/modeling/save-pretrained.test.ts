/** What savePretrained writes is what transformers writes, and loads again to the same bits. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../../../src/checkpoints/checkpoint.ts";
import { openHfDirectory } from "../../../../src/checkpoints/hf-directory.ts";
import { openCheckpointFolder } from "../../../../src/checkpoints/open-folder.ts";
import { tensorBytes } from "../../../../src/formats/stored-tensor.ts";
import type { PreTrainedModel } from "../../../../src/llama/modeling/pretrained-model.ts";
import { parseShardSize } from "../../../../src/llama/modeling/shard-size.ts";
import type { Tensor } from "../../../../src/llama/modeling/tensor.ts";
import { directoryFolder } from "../../../../src/platform/host/directory.ts";
import { nodeHost } from "../../../../src/platform/node/host.ts";
import { openGoldenModel } from "../../../support/golden-model.ts";
import { models } from "../../../support/llama-models.ts";
import { memoryFolder } from "../../../support/memory-folder.ts";

const HEADS = [
  ["LlamaModel", "gqa"],
  ["LlamaForCausalLM", "gqa"],
  ["LlamaForCausalLM", "tied"],
  ["LlamaForCausalLM", "bias"],
  ["LlamaForCausalLM", "bf16_sharded"],
  ["LlamaForSequenceClassification", "seqcls"],
  ["LlamaForTokenClassification", "tokcls"],
  ["LlamaForQuestionAnswering", "qa"],
] as const;

const temporary = mkdtempSync(join(tmpdir(), "save-pretrained-"));
afterAll(() => rmSync(temporary, { recursive: true }));

async function bytesOf({ tensors }: Checkpoint): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const [name, tensor] of tensors) {
    const bytes = new Uint8Array(tensorBytes(tensor));
    await tensor.readRows(0, tensor.shape[0], bytes);
    found.set(name, `${tensor.type} [${tensor.shape}] ${Buffer.from(bytes).toString("base64")}`);
  }
  return found;
}

async function outputOf(model: PreTrainedModel): Promise<number[]> {
  const run = model as unknown as { forward(inputs: object): Promise<Record<string, Tensor>> };
  const out = await run.forward({ input_ids: [[5, 6, 7, 8]] });
  const { data } = out.logits ?? out.last_hidden_state ?? out.start_logits;
  return [...data];
}

describe.each(HEADS)("%s of models/%s", (name, folder) => {
  test("writes transformers' names and bits, and loads again to the same outputs", async () => {
    const checkpoint = await openGoldenModel(folder);
    const model = await models[name].fromPretrained({ checkpoint });
    const out = memoryFolder();
    const files = await model.savePretrained(out);
    const generates = name === "LlamaForCausalLM";
    expect(files.sort()).toEqual(
      ["config.json", ...(generates ? ["generation_config.json"] : []), "model.safetensors"].sort(),
    );

    const saved = await openHfDirectory(out);
    const expected = await bytesOf(checkpoint);
    const bare = [...expected]
      .filter(([key]) => name !== "LlamaModel" || key !== "lm_head.weight")
      .map(([key, value]) => [name === "LlamaModel" ? key.replace("model.", "") : key, value]);
    expect([...(await bytesOf(saved))].sort()).toEqual(bare.sort());
    expect(saved.config.architectures).toEqual([name]);
    expect(saved.config.dtype).toBe(checkpoint.config.dtype);
    const { architectures: _, dtype: __, ...fields } = saved.config;
    expect(fields).toMatchObject(
      Object.fromEntries(
        Object.entries(checkpoint.config).filter(([key]) => key in fields && key !== "label2id"),
      ),
    );

    const again = await models[name].fromPretrained({ checkpoint: saved });
    expect(await outputOf(again)).toEqual(await outputOf(model));
    model.dispose();
    again.dispose();
  });
});

describe("options", () => {
  test("max_shard_size splits, with an index; a path is a directory; a variant is a name", async () => {
    const checkpoint = await openGoldenModel("gqa");
    const model = await models.LlamaForCausalLM.fromPretrained({ checkpoint });
    const path = join(temporary, "model");
    const open = (variant?: string): Promise<Checkpoint> =>
      openCheckpointFolder(directoryFolder(nodeHost, path), undefined, variant ? { variant } : {});
    const expected = await bytesOf(checkpoint);

    await model.savePretrained(path);
    expect(readdirSync(path)).toContain("model.safetensors");
    // A whole file of before would be read in the shards' place.
    await model.savePretrained(path, { max_shard_size: "200KB" });
    expect(readdirSync(path)).not.toContain("model.safetensors");
    expect(readdirSync(path)).toContain("model.safetensors.index.json");
    expect(readdirSync(path).filter((name) => /^model-0000\d-of-0000\d/.test(name))).toHaveLength(
      5,
    );
    expect(await bytesOf(await open())).toEqual(expected);

    await model.savePretrained(path, { variant: "bf16", dtype: "bfloat16", max_shard_size: 300e3 });
    expect(readdirSync(path)).toContain("model.safetensors.index.bf16.json");
    expect(readdirSync(path)).toContain("model.bf16-00001-of-00002.safetensors");
    for (const tensor of (await open("bf16")).tensors.values()) expect(tensor.type).toBe("BF16");
    const named = { variant: "bf16" };
    const source = directoryFolder(nodeHost, path);
    const rounded = await models.LlamaForCausalLM.fromPretrained(source, named);
    const { data } = await rounded.getInputEmbeddings().weight();
    expect(new Uint32Array(data.buffer).every((bits) => (bits & 0xffff) === 0)).toBe(true);
    rounded.dispose();
    await expect(
      models.LlamaForCausalLM.fromPretrained({ checkpoint }, named),
    ).rejects.toMatchObject({ code: "bad_request", param: "variant" });
    expect(await bytesOf(await open())).toEqual(expected);
    await model.savePretrained(path, { max_shard_size: "1GB" });
    expect(readdirSync(path)).not.toContain("model.safetensors.index.json");
    expect(await bytesOf(await open())).toEqual(expected);
    model.dispose();
  });

  test("a function takes whole files", async () => {
    const checkpoint = await openGoldenModel("qa");
    const model = await models.LlamaForQuestionAnswering.fromPretrained({ checkpoint });
    const folder = memoryFolder();
    await model.savePretrained((name, bytes) => void folder.files.set(name, bytes));
    expect([...folder.files.keys()]).toEqual(["model.safetensors", "config.json"]);
    expect(await bytesOf(await openHfDirectory(folder))).toEqual(await bytesOf(checkpoint));
    model.dispose();
  });

  test.each(["q4", "q8"] as const)(
    "of %s weights the kernels' own values are written, and load again as none",
    async (quantization) => {
      const checkpoint = await openGoldenModel("gqa");
      const model = await models.LlamaForCausalLM.fromPretrained({ checkpoint }, { quantization });
      const folder = memoryFolder();
      await model.savePretrained(folder);
      const saved = await openHfDirectory(folder);
      expect(saved.config.dtype).toBe("float32");
      const same = await models.LlamaForCausalLM.fromPretrained({ checkpoint: saved });
      // Activations have 8 bits in one and 32 in the other.
      const [found, expected] = [await outputOf(same), await outputOf(model)];
      const largest = Math.max(...expected.map(Math.abs));
      for (const [i, value] of found.entries()) {
        expect(Math.abs(value - expected[i])).toBeLessThan(0.03 * largest);
      }
      const table = await model.getInputEmbeddings().weight();
      expect((await same.getInputEmbeddings().weight()).data).toEqual(table.data);
      model.dispose();
      same.dispose();
    },
  );

  test("what is not written is refused by name", async () => {
    const model = await models.LlamaModel.fromPretrained({
      checkpoint: await openGoldenModel("gqa"),
    });
    const folder = memoryFolder();
    const refused = { code: "unsupported" };
    await expect(model.savePretrained(folder, { safe_serialization: false })).rejects.toMatchObject(
      { ...refused, param: "safe_serialization" },
    );
    await expect(model.savePretrained(folder, { push_to_hub: true })).rejects.toMatchObject({
      ...refused,
      param: "push_to_hub",
    });
    await expect(
      model.savePretrained(folder, { max_shard_size: "5 apples" }),
    ).rejects.toMatchObject({ code: "bad_request", param: "max_shard_size" });
    await expect(model.savePretrained(folder, { variant: "../x" })).rejects.toMatchObject({
      code: "bad_request",
      param: "variant",
    });
    await expect(model.savePretrained(folder, { dtype: "float8" })).rejects.toMatchObject({
      code: "bad_request",
      param: "dtype",
    });
    expect(() => model.pushToHub()).toThrow("push_to_hub");
    expect(() => model.pruneHeads()).toThrow("prune_heads");
    expect([...folder.files.keys()]).toEqual([]);
    model.dispose();
  });

  test.each([
    [5, 5],
    ["5GB", 5e9],
    ["200MB", 2e8],
    ["1.5 kb", 1500],
    ["1GiB", 2 ** 30],
  ])("max_shard_size %s is %d bytes", (size, bytes) => {
    expect(parseShardSize(size)).toBe(bytes);
  });
});
