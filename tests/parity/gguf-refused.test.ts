/** Element types of GGUF that do not run: each golden file is refused by the name of its type, before anything is loaded. */
import { expect, test } from "vitest";
import { openGgufCheckpoint } from "../../src/checkpoints/gguf-checkpoint.ts";
import { openGguf } from "../../src/engine/open-gguf.ts";
import { models } from "../support/llama-models.ts";
import { readGolden } from "../support/tiny-gguf.ts";

const REFUSED = [
  "IQ1_M",
  "IQ1_S",
  "IQ2_S",
  "IQ2_XS",
  "IQ2_XXS",
  "IQ3_S",
  "IQ3_XXS",
  "MXFP4",
  "TQ1_0",
  "TQ2_0",
];

test.each(REFUSED)("%s", async (type) => {
  const gguf = [readGolden(`${type}.gguf`)];
  const refused = { code: "unsupported", message: expect.stringContaining(type) };
  const options = { quantization: "auto", profile: "default" } as const;
  await expect(openGguf(gguf, options)).rejects.toMatchObject(refused);
  await expect(openGgufCheckpoint(gguf)).rejects.toMatchObject(refused);
  await expect(models.LlamaForCausalLM.fromPretrained({ gguf })).rejects.toMatchObject(refused);
});
