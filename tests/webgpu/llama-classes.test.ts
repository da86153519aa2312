/** The classes with Hugging Face's names on a GPU: the same numbers as on the reference, and what reads their weights. */
import { expect, test } from "vitest";
import type { GpuPlatform } from "../../src/engine/gpu-platform.ts";
import type { LlamaConfigFields } from "../../src/llama/llama-config.ts";
import { LlamaConfig } from "../../src/llama/llama-config.ts";
import { KvCache } from "../../src/llama/modeling/kv-cache.ts";
import { LlamaForCausalLM } from "../../src/llama/modeling/llama-for-causal-lm.ts";
import { openDawn } from "./dawn.ts";

const FIELDS: LlamaConfigFields = {
  vocab_size: 96,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
};

const devices: GPUDevice[] = [];
const gpu: GpuPlatform = {
  backend: () => import("../../src/engine/gpu-backend.ts"),
  async open() {
    const dawn = await openDawn();
    return {
      async requestAdapter() {
        const adapter = await dawn.requestAdapter();
        if (adapter) {
          const own = adapter.requestDevice.bind(adapter);
          adapter.requestDevice = async (descriptor) => {
            const device = await own(descriptor);
            devices.push(device);
            return device;
          };
        }
        return adapter;
      },
    };
  },
};

class GpuLlama extends LlamaForCausalLM {
  static override opener: typeof LlamaForCausalLM.opener = {
    runtime: async () => ({ kernels: {} as never, now: () => performance.now(), gpu }),
    open: () => Promise.reject(new Error("nothing is opened by name")),
  };
}

const make = (backend: "webgpu" | "reference"): GpuLlama =>
  new GpuLlama(new LlamaConfig(FIELDS), { backend, seed: 3, slots: 4 });

const inputs = {
  input_ids: [
    [5, 9, 31, 7],
    [0, 0, 11, 80],
  ],
  attention_mask: [
    [1, 1, 1, 1],
    [0, 0, 1, 1],
  ],
};

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
}

test("logits, states, attention and embeddings are those of the reference", async () => {
  const [model, reference] = [make("webgpu"), make("reference")];
  const wanted = { ...inputs, output_hidden_states: true, output_attentions: true };
  const [found, expected] = [await model.forward(wanted), await reference.forward(wanted)];
  expect(model.backend).toBe("webgpu");
  expect(distance(found.logits.data, expected.logits.data)).toBeLessThan(1e-4);
  for (const [i, { data }] of expected.hidden_states!.entries()) {
    expect(distance(found.hidden_states![i].data, data)).toBeLessThan(1e-4);
  }
  for (const [i, { data }] of expected.attentions!.entries()) {
    expect(distance(found.attentions![i].data, data)).toBeLessThan(1e-5);
  }
  const rows = await model.getInputEmbeddings().forward([[5, 9]]);
  expect(rows.data).toEqual((await reference.getInputEmbeddings().forward([[5, 9]])).data);
  model.dispose();
});

test("a device that is lost between two calls is survived, with what the cache held", async () => {
  const [model, reference] = [make("webgpu"), make("reference")];
  const first = { input_ids: [[5, 9, 31, 7]], use_cache: true };
  const { past_key_values } = await model.forward(first);
  const { past_key_values: cache } = await reference.forward(first);
  devices.at(-1)?.destroy();
  const found = await model.forward({ input_ids: [[12]], past_key_values });
  const expected = await reference.forward({ input_ids: [[12]], past_key_values: cache });
  expect(distance(found.logits.data, expected.logits.data)).toBeLessThan(1e-4);
  model.dispose();
});

test("generates, resizes and keeps caches as the reference does", async () => {
  const [model, reference] = [make("webgpu"), make("reference")];
  const options = { input_ids: [[5, 9, 31]], max_new_tokens: 8, do_sample: false };
  expect(await model.generate(options)).toEqual(await reference.generate(options));
  for (const one of [model, reference]) await one.resizeTokenEmbeddings(100);
  const wider = { input_ids: [[5, 99, 97]] };
  const [found, expected] = [await model.forward(wider), await reference.forward(wider)];
  expect(distance(found.logits.data, expected.logits.data)).toBeLessThan(1e-4);
  const { past_key_values } = await model.forward({ ...wider, use_cache: true });
  const bytes = await past_key_values!.serialize();
  const restored = await KvCache.deserialize(bytes, model);
  const next = { input_ids: [[3]] };
  const [again, before] = [
    await model.forward({ ...next, past_key_values: restored }),
    await model.forward({ ...next, past_key_values }),
  ];
  expect(again.logits.data).toEqual(before.logits.data);
  // Another backend's keys are of another kind.
  await expect(KvCache.deserialize(bytes, reference)).rejects.toMatchObject({
    code: "bad_request",
  });
  model.dispose();
});
