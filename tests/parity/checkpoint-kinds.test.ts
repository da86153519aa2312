/** The same weights as other libraries write them: each must give the tensors of models/gqa. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compileKernels } from "../../src/backends/wasm/kernel-variants.ts";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { openCheckpointFolder } from "../../src/checkpoints/open-folder.ts";
import type { FloatTensor } from "../../src/formats/float-tensor.ts";
import { dequantize } from "../../src/formats/gguf/dequantize.ts";
import { tensorBytes } from "../../src/formats/stored-tensor.ts";
import { LlamaForCausalLM } from "../../src/llama/modeling/llama-for-causal-lm.ts";
import { loadParts } from "../../src/llama/modeling/load-parts.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { goldenCases, goldenTensors, openGoldenModel } from "../support/golden-model.ts";

const root = new URL("../goldens/", import.meta.url);

const kernel = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(`wasm/dist/${name}.wasm`));
const runtime = {
  kernels: await compileKernels({ plain: kernel("plain"), relaxed: kernel("relaxed") }),
  now: (): number => performance.now(),
};

const KINDS = [
  "checkpoints/pytorch_bin",
  "checkpoints/pytorch_bin_legacy",
  "checkpoints/pytorch_bin_sharded",
  "checkpoints/flax",
  "checkpoints/fairseq2",
  "meta/mp1",
  "meta/mp2",
];

function open(kind: string): Promise<Checkpoint> {
  return openCheckpointFolder(directoryFolder(nodeHost, new URL(kind, root).pathname));
}

async function rows(tensor: FloatTensor, first: number, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array((tensorBytes(tensor) / tensor.shape[0]) * count);
  await tensor.readRows(first, count, bytes);
  return bytes;
}

/** All values as f32 bits, which every type widens to exactly. */
async function values(tensor: FloatTensor): Promise<Uint8Array> {
  const bytes = await rows(tensor, 0, tensor.shape[0]);
  const out = new Float32Array(tensor.shape.reduce((product, dim) => product * dim, 1));
  dequantize(tensor.type, bytes, out);
  return new Uint8Array(out.buffer);
}

describe.each(KINDS)("%s", (kind) => {
  test("has the tensors of models/gqa, bit for bit", async () => {
    const expected = await openGoldenModel("gqa");
    const { tensors } = await open(kind);

    expect([...tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort());
    for (const [name, tensor] of expected.tensors) {
      const found = tensors.get(name)!;
      expect([found.name, found.shape], name).toEqual([name, tensor.shape]);
      expect(Buffer.compare(await values(found), await values(tensor)), name).toBe(0);
    }
  });

  test("gives the logits of models/gqa's golden", async () => {
    const checkpoint = await open(kind);
    const parts = await loadParts({ checkpoint }, "causal-lm", runtime, { ctx: 64 });
    const model = new LlamaForCausalLM(parts);
    const golden = goldenCases("gqa").find(({ name }) => name === "basic")!;
    const input_ids = golden.inputs.input_ids as number[][];
    const { logits } = await model.forward({ input_ids });
    const expected = (await goldenTensors("gqa")).get("basic/logits")!;
    expect(logits.data.length).toBe(expected.length);
    expected.forEach((value, i) => {
      const difference = Math.abs(logits.data[i] - value);
      expect(difference).toBeLessThanOrEqual(2e-4 + 1e-4 * Math.abs(value));
    });
    model.dispose();
  });

  test("reads any rows as it reads all of them", async () => {
    for (const tensor of (await open(kind)).tensors.values()) {
      const all = await rows(tensor, 0, tensor.shape[0]);
      const rowBytes = all.length / tensor.shape[0];
      for (const [first, count] of [
        [0, 1],
        [5, 0],
        [3, 17],
        [7, 2],
        [tensor.shape[0] - 9, 9],
        [1, tensor.shape[0] - 2],
      ]) {
        const some = await rows(tensor, first, count);
        const place = all.subarray(first * rowBytes, (first + count) * rowBytes);
        expect(Buffer.compare(some, place), `${tensor.name} from ${first}, ${count}`).toBe(0);
      }
    }
  });

  test("has the fields of models/gqa's configuration that it can know", async () => {
    const { config } = await open(kind);
    const whole = (await openGoldenModel("gqa")).config;
    const golden = JSON.parse(readFileSync(new URL("meta/golden.json", root), "utf8"));
    const expected = kind.startsWith("meta/")
      ? golden.checks[kind.slice("meta/".length)].config
      : Object.fromEntries(Object.keys(golden.checks.mp1.config).map((key) => [key, whole[key]]));
    expect(config).toMatchObject(expected);
    expect(config).toMatchObject({ head_dim: 16, rope_scaling: null, tie_word_embeddings: false });
  });
});
