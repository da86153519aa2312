/** A Worker that runs models of a bucket and of URLs: in a real workerd, by worker-models.test.ts. */
import type { R2Bucket } from "@cloudflare/workers-types";
import {
  AutoConfig,
  AutoModelForCausalLM,
  AutoTokenizer,
  httpFolder,
  LlamaConfig,
  LlamaForCausalLM,
  pipeline,
  r2Source,
} from "../../../src/platform/cloudflare/index.ts";
import plain from "../../../wasm/dist/plain.wasm";
import relaxed from "../../../wasm/dist/relaxed.wasm";

const kernels = { relaxed, plain };

export default {
  /** What `?r2=PREFIX` or `?http=URL` or `?name=NAME` gives for `ids=1,2,3`, `text=TEXT` or `prompt=TEXT`. */
  async fetch(request: Request, env: { MODELS: R2Bucket }): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const [prefix, url, name] = ["r2", "http", "name"].map((key) => query.get(key));
    const source = prefix
      ? r2Source(env.MODELS as never, prefix)
      : url
        ? httpFolder(url, { fetch })
        : (name ?? "");
    try {
      const prompt = query.get("prompt");
      if (prompt) {
        const tokenizer = r2Source(env.MODELS as never, "tokenizer");
        const model = source as Exclude<typeof source, string>;
        const generator = await pipeline("text-generation", model, { tokenizer, kernels });
        return Response.json(await generator(prompt, { do_sample: false, max_new_tokens: 4 }));
      }
      const text = query.get("text");
      if (text) {
        const tokenizer = await AutoTokenizer.fromPretrained(source);
        return Response.json({ ids: tokenizer.encode(text) });
      }
      const seed = query.get("random");
      if (seed !== null) return Response.json(await runRandom(Number(seed)));
      const options = query.has("bare") ? {} : { kernels };
      const model = await AutoModelForCausalLM.fromPretrained(source, options);
      const input_ids = [(query.get("ids") ?? "").split(",").map(Number)];
      const { logits } = await model.forward({ input_ids, logits_to_keep: 1 });
      const sequences = await model.generate({ input_ids, max_new_tokens: 4, eos_token_id: null });
      const config = await AutoConfig.fromPretrained(source);
      const isConfig = config instanceof LlamaConfig && model.config instanceof LlamaConfig;
      return Response.json({ logits: [...logits.data], sequences, isConfig });
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      return Response.json({ code, message });
    }
  },
};

/** A model made of a configuration, and the names and sizes of its files. */
async function runRandom(seed: number): Promise<object> {
  const model = new LlamaForCausalLM(new LlamaConfig(RANDOM), { seed, kernels });
  const { logits } = await model.forward({ input_ids: [[1, 7, 9]], logits_to_keep: 1 });
  const files: Record<string, number> = {};
  await model.savePretrained((name, bytes) => {
    files[name] = bytes.length;
  });
  model.dispose();
  return { logits: [...logits.data], files };
}

const RANDOM = {
  vocab_size: 100,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 2,
};
