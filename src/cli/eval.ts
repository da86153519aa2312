/** pronk eval: perplexity of a text. */
import { readFile } from "node:fs/promises";
import { openLoraAdapter } from "../adapters/open-lora-adapter.ts";
import type { Runner, Span } from "../backends/backend.ts";
import { PronkError } from "../errors.ts";
import { perplexity } from "../generate/perplexity.ts";
import { openAdapterFolder } from "../platform/host/open-adapter.ts";
import { flagOption, integerOption, textOption, UsageError } from "./arguments.ts";
import type { CliContext, Command } from "./command.ts";
import { LORA_OPTION, type LoraOption, loraOptions } from "./lora-options.ts";
import { JSON_OPTION, loadForCommand, MODEL_OPTIONS } from "./model-options.ts";
import { createProgress } from "./progress.ts";

const DEFAULT_CTX = 512;

/** Rows of a batch, all of them with logits. */
const CHUNK = 64;

export const evaluate: Command = {
  name: "eval",
  summary: "measure the perplexity of a text",
  positionals: "[MODEL] --text FILE",
  maxPositionals: 1,
  options: {
    text: { type: "string", value: "FILE", help: "the text" },
    ...MODEL_OPTIONS,
    ctx: { type: "string", value: "N", help: `tokens of a window, default ${DEFAULT_CTX}` },
    ...LORA_OPTION,
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    const path = textOption(input, "text");
    if (!path) throw new UsageError("--text FILE is missing");
    const ctx = integerOption(input, "ctx", 2) ?? DEFAULT_CTX;
    const text = await readFile(path, "utf8").catch((cause: Error) => {
      throw new PronkError("not_found", `${path}: ${cause.message}`, { cause });
    });
    const { model, runtime } = await loadForCommand(input, cli, {
      ctx,
      slots: 1,
      chunk: CHUNK,
      maxLogits: CHUNK,
    });
    const progress = createProgress(cli);
    try {
      const adapters = await loadLora(loraOptions(input), model.runner, cli);
      const ids = model.tokenizer.encode(text);
      const found = await perplexity(model.runner, ids, {
        ctx,
        adapters,
        signal: cli.signal,
        yieldTask: runtime.yieldTask,
        onProgress: (loaded, total) =>
          progress.report({ label: "scoring", loaded, total, unit: "tokens" }),
      });
      const { ppl, nll, tokens } = found;
      const line = `perplexity ${ppl.toFixed(4)} over ${tokens} tokens`;
      cli.out(`${flagOption(input, "json") ? JSON.stringify({ ppl, nll, tokens }) : line}\n`);
    } finally {
      progress.finish();
      model.runner.dispose();
    }
  },
};

async function loadLora(
  options: readonly LoraOption[],
  runner: Runner,
  { host, env, fetch, signal }: CliContext,
): Promise<Span["adapters"]> {
  const adapters: { handle: number; scale: number }[] = [];
  for (const { source, scale } of options) {
    const folder = await openAdapterFolder(host, source, { env, fetch, signal });
    const handle = await runner.loadAdapter(await openLoraAdapter(folder, signal), signal);
    adapters.push({ handle, scale });
  }
  return adapters.length > 0 ? adapters : undefined;
}
