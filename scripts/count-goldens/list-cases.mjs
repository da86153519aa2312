/** The cases of the full golden data by folder, each under one name. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** @param {string} root */
export function listCases(root) {
  const read = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));
  const names = (path) => read(path).cases.map(({ name }) => name);
  const folders = (path) => readdirSync(join(root, path)).sort();
  const numbered = (name, list) => list.map((_, i) => `${name} ${i}`);

  const llama2 = read("tokenizers/llama2_sp/golden.json");
  const llama3 = read("tokenizers/llama3_tiktoken/golden.json");
  const smollm2 = read("tokenizers/smollm2.json");
  const registry = read("fairseq2/registry.json");
  const processors = read("processors/processors.json");
  const pipeline = read("real/pipeline.json");
  const real = read("real/smollm2.json");
  /** Of a tokenizer: its texts, pairs, batches. */
  const tokenizer = (name, { cases, pairs, batch }) => [
    ...cases.map(({ s }) => `${name} text ${s}`),
    ...numbered(`${name} pair`, pairs),
    ...numbered(`${name} batch`, batch),
  ];
  const chats = (name, list) => numbered(`${name} chat`, list);

  return {
    models: folders("models").flatMap((model) =>
      read(`models/${model}/golden.json`).cases.map(({ kind, name }) => `${kind} ${model} ${name}`),
    ),
    rope: read("rope/rope.json").cases.map(({ name, seq_len }, i) => `${i} ${name} ${seq_len}`),
    processors: [
      ...numbered("case", processors.cases),
      ...numbered("openai", processors.openai_penalties),
      ...processors.stopping.map(({ name }) => `stopping ${name}`),
      ...numbered("error", processors.errors),
    ],
    meta: Object.keys(read("meta/golden.json").checks),
    lora: names("lora/golden.json"),
    tokenizers: [
      ...Object.entries(llama2.variants).flatMap(([name, one]) => tokenizer(`llama2 ${name}`, one)),
      ...llama2.sentencepiece.map(({ s }) => `sentencepiece ${s}`),
      ...numbered("update_post_processor", llama2.update_post_processor),
      "add_pad",
      ...Object.entries(llama2.chats).flatMap(([name, list]) => chats(`llama2 ${name}`, list)),
      ...tokenizer("llama3", llama3.hf),
      ...llama3.tiktoken.map(({ s }) => `tiktoken ${s}`),
      ...Object.entries(llama3.chats).flatMap(([name, list]) => chats(`llama3 ${name}`, list)),
      ...tokenizer("smollm2", smollm2),
      ...chats("smollm2", smollm2.chats),
    ],
    real: [
      ...numbered("chat", real.chats),
      "perplexity",
      ...numbered("pipeline", pipeline.pipeline),
      ...numbered("stop_strings", pipeline.stop_strings),
    ],
    gguf: [
      ...read("gguf/golden.json").cases.map(({ name }) => name),
      ...folders("gguf").flatMap((name) => /^(tok_\w+)\.gguf$/.exec(name)?.[1] ?? []),
    ],
    fairseq2: [
      ...Object.keys(registry.archs).map((name) => `arch ${name}`),
      ...registry.cards.map(({ name }) => `card ${name}`),
      ...["defaults", "tokenizer_config_defaults", "hg_key_map", "shard_specs", "chat_template"],
      ...read("fairseq2/tokenizers.json").map(({ name }) => `tokenizer ${name}`),
      ...read("fairseq2/forward.json").cases.map(({ kind, name }) => `${kind} ${name}`),
    ],
    legacy: names("legacy/golden.json"),
    maskviz: numbered("text", read("maskviz/maskviz.json").cases),
    checkpoints: folders("checkpoints"),
  };
}
