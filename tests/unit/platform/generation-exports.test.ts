import { expect, test } from "vitest";
import * as pronk from "../../../src/platform/node/index.ts";

test("the package's entry generates over any model that gives logits", async () => {
  // Says 0, 1, 2, ... whatever it reads.
  const logits = (length: number): Float32Array =>
    Float32Array.from({ length: 9 }, (_, id) => (id === length % 9 ? 1 : 0));
  const model: pronk.GenerativeModel = {
    config: { vocab_size: 9, hidden_size: 1 },
    generation_config: new pronk.GenerationConfig({ eos_token_id: 5 }),
    createCache() {
      let read = 0;
      return {
        async forward(inputs) {
          return inputs.map(({ tokens }) => [logits((read += tokens.length))]);
        },
        reorder() {},
        truncate() {},
        dispose() {},
      };
    },
  };
  const pieces: string[] = [];
  const streamer = new pronk.TextStreamer(
    { decode: (ids) => ids.map((id) => `${id} `).join("") },
    { skip_prompt: true, onText: (text) => pieces.push(text) },
  );
  expect(await pronk.generate(model, { input_ids: [7, 7], streamer })).toEqual([
    [7, 7, 2, 3, 4, 5],
  ]);
  expect(pieces.join("")).toBe("2 3 4 5 ");
});
