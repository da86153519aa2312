// A model made of a configuration, saved, resized and continued on whatever runtime runs this; prints what came out.
const runtime = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
const { KvCache, LlamaConfig, LlamaForCausalLM, openDirectory } = await import(
  `../../dist/src/platform/${runtime}/index.js`
);

const folder = process.argv[2];
const config = new LlamaConfig({
  vocab_size: 200,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  initializer_range: 0.3,
});
const model = new LlamaForCausalLM(config, { seed: 9 });
await model.resizeTokenEmbeddings(201);
model.config.pad_token_id = 200;
const start = {
  input_ids: [
    [1, 2, 3],
    [4, 5, 6],
  ],
  attention_mask: [
    [0, 1, 1],
    [1, 1, 1],
  ],
};
const { past_key_values: cache } = await model.forward(start);
const bytes = await cache.serialize();
await model.savePretrained(folder, { max_shard_size: "50KB" });
model.dispose();

const again = await LlamaForCausalLM.fromPretrained(openDirectory(folder));
const past_key_values = await KvCache.deserialize(bytes, again);
const next = {
  input_ids: [[7], [8]],
  attention_mask: [
    [0, 1, 1, 1],
    [1, 1, 1, 1],
  ],
};
const { logits } = await again.forward({ ...next, past_key_values });
const sequences = await again.generate({ ...start, max_new_tokens: 6, eos_token_id: null });
const pad = await again.getInputEmbeddings().forward([[200]]);
const words = [...new Uint32Array(logits.data.slice().buffer)];
console.log(JSON.stringify({ words, sequences, isZero: pad.data.every((x) => x === 0) }));
again.dispose();
