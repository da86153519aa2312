/** SmolLM2 under 50 random schemas at a temperature of 1.5: what it writes is valid, and spelled as its tokenizer does. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createEngine } from "../../src/engine/create-engine.ts";
import { loadModel } from "../../src/engine/load-model.ts";
import type { Runtime } from "../../src/engine/runtime.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { openApiSchema, pydanticSchema, zodSchema } from "../support/client-schemas.ts";
import { chanceOf, randomSchema } from "../support/random-schemas.ts";
import { schemaValidator } from "../support/schema-validator.ts";
import { modelPath } from "../support/smollm2.ts";

const SCHEMAS = 50;
const STREAMS = 4;
const MINUTES = 60_000;

test.skipIf(!modelPath)(
  "SmolLM2 answers what random schemas ask",
  { timeout: 12 * MINUTES },
  async () => {
    const plain = new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm"));
    const runtime: Runtime = {
      kernels: { plain },
      yieldTask: () => new Promise((resolve) => setImmediate(resolve)),
      now: () => performance.now(),
      wallClock: () => 0,
      randomSeed: () => 1,
    };
    const gguf = [memorySource(new Uint8Array(readFileSync(modelPath ?? "")), "smollm2.gguf")];
    const model = await loadModel({ gguf }, runtime, { slots: STREAMS, ctx: 512 });
    const engine = createEngine(model, runtime);
    const { tokenizer } = engine;
    const prompt = "<|im_start|>user\nInvent an example.<|im_end|>\n<|im_start|>assistant\n";
    const prompt_ids = tokenizer.encode(prompt, { parseSpecial: true });
    let [written, cut, canonical, next] = [0, 0, 0, 0];
    const work = async (): Promise<void> => {
      while (written + cut < SCHEMAS) {
        const seed = next++;
        const chance = chanceOf(seed * 6_151 + 3);
        const make = [randomSchema, zodSchema, pydanticSchema, openApiSchema][seed % 4];
        const schema = make(chance);
        const grammar = { type: "json_schema", schema } as const;
        try {
          engine.checkGrammar(grammar);
        } catch {
          // It asks for what no value is.
          continue;
        }
        const stream = engine.stream({
          prompt_ids,
          grammar,
          temperature: 1.5,
          seed,
          max_tokens: 120,
        });
        let text = "";
        for await (const part of stream) text += part.text;
        const { ids, finish_reason, text: whole } = await stream.result;
        expect(text).toBe(whole);
        if (finish_reason === "length") {
          cut++;
          continue;
        }
        const wrong = schemaValidator(schema)(text);
        expect([wrong ? [seed, schema, text, wrong] : true]).toEqual([true]);
        written++;
        const spelled = tokenizer.encode(text, { addSpecialTokens: false });
        const own = ids.filter((id) => !tokenizer.eogIds.includes(id));
        if (own.length <= spelled.length * 1.5) canonical++;
      }
    };
    await Promise.all(Array.from({ length: STREAMS }, work));
    await engine.dispose();
    console.log(
      `${written} valid, ${cut} ended by length, ${canonical} at most half longer than encoded`,
    );
    expect(written).toBeGreaterThan(SCHEMAS / 4);
  },
);
