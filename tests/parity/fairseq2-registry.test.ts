/** What fairseq2 0.8.1 registers for Llama beside architectures and cards: names of weights, shards, defaults, the chat template. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openCheckpointFolder } from "../../src/checkpoints/open-folder.ts";
import { readTorch } from "../../src/formats/torch/read-torch.ts";
import { TOKENIZER_DEFAULTS } from "../../src/hub/llama-tokenizer-hub.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import type { ChatMessage } from "../../src/templates/chat-template.ts";
import { BUILTIN_TEMPLATES } from "../../src/templates/choose-template.ts";
import { createChatTemplate } from "../../src/templates/jinja-template.ts";
import { openGoldenModel } from "../support/golden-model.ts";

interface Registry {
  readonly tokenizer_config_defaults: object;
  readonly chat_template: string;
  /** Patterns of Hugging Face's names, and fairseq2's in their place. */
  readonly hg_key_map: Record<string, string>;
  readonly shard_specs: Record<string, { readonly dim: number }>;
  readonly shard_specs_embed_dim_if_not_shard_embed_dim: number;
}

const goldens = new URL("../goldens/", import.meta.url);
const registry: Registry = JSON.parse(
  readFileSync(new URL("fairseq2/registry.json", goldens), "utf8"),
);
const open = (name: string) => directoryFolder(nodeHost, new URL(name, goldens).pathname);

/** fairseq2's name of a weight of Hugging Face's. */
function fairseq2Name(name: string): string {
  for (const [pattern, replacement] of Object.entries(registry.hg_key_map)) {
    const found = name.replace(new RegExp(pattern), replacement.replaceAll("\\", "$"));
    if (found !== name) return found;
  }
  throw new Error(`${name}: no pattern`);
}

test("tokenizer_config_defaults", () => {
  expect(TOKENIZER_DEFAULTS).toEqual(registry.tokenizer_config_defaults);
});

test("hg_key_map: weights are found under the names that it gives", async () => {
  const { tensors } = await openCheckpointFolder(open("checkpoints/fairseq2"));
  const file = await open("checkpoints/fairseq2").open("model.pt");
  const stored = await readTorch(file);
  const names = [...tensors.keys()].map(fairseq2Name);
  expect([...stored.keys()]).toEqual(expect.arrayContaining(names));
  expect(new Set(names).size).toBe(tensors.size);
});

test("shard_specs: a weight's shards are joined along the dimension that it names", async () => {
  const whole = await openGoldenModel("gqa");
  const shards = [0, 1].map(async (i) =>
    readTorch(await open("meta/mp2").open(`consolidated.0${i}.pth`)),
  );
  const [first, second] = await Promise.all(shards);
  const META: [string, string][] = [
    ["model.layers.0.self_attn.q_proj.weight", "layers.0.attention.wq.weight"],
    ["model.layers.0.self_attn.k_proj.weight", "layers.0.attention.wk.weight"],
    ["model.layers.0.self_attn.v_proj.weight", "layers.0.attention.wv.weight"],
    ["model.layers.0.self_attn.o_proj.weight", "layers.0.attention.wo.weight"],
    ["model.layers.0.mlp.gate_proj.weight", "layers.0.feed_forward.w1.weight"],
    ["model.layers.0.mlp.down_proj.weight", "layers.0.feed_forward.w2.weight"],
    ["model.layers.0.mlp.up_proj.weight", "layers.0.feed_forward.w3.weight"],
    ["model.embed_tokens.weight", "tok_embeddings.weight"],
    ["lm_head.weight", "output.weight"],
  ];
  expect(META.length).toBe(Object.keys(registry.shard_specs).length);
  const { tensors: joined } = await openCheckpointFolder(open("meta/mp2"));
  for (const [name, meta] of META) {
    const key = fairseq2Name(name).replace(/\.weight$/, "");
    const spec = Object.entries(registry.shard_specs).find(([pattern]) =>
      new RegExp(pattern).test(key),
    )!;
    const { shape } = whole.tensors.get(name)!;
    const expected = shape.map((size, dim) => (dim === spec[1].dim ? size / 2 : size));
    expect([first.get(meta)!.shape, second.get(meta)!.shape], key).toEqual([expected, expected]);
    expect(joined.get(name)!.shape).toEqual(shape);
  }
});

test("chat_template: ours writes what fairseq2's does", () => {
  const path = new URL("tokenizers/llama3_tiktoken/golden.json", goldens);
  const { chats, chat_templates } = JSON.parse(readFileSync(path, "utf8"));
  expect(chat_templates.fairseq2).toBe(registry.chat_template);
  const tokens = { bos_token: "<|begin_of_text|>", eos_token: "<|eot_id|>" };
  const ours = createChatTemplate(BUILTIN_TEMPLATES.llama3, tokens);
  const theirs = createChatTemplate(registry.chat_template, tokens);
  let compared = 0;
  for (const { messages, add_generation_prompt } of chats.fairseq2 as {
    messages: ChatMessage[];
    add_generation_prompt: boolean;
  }[]) {
    const options = { add_generation_prompt };
    if (messages.some(({ role }) => !["system", "user", "assistant"].includes(role))) continue;
    expect(ours.render(messages, options)).toBe(theirs.render(messages, options));
    compared++;
  }
  expect(compared).toBeGreaterThan(5);
});
