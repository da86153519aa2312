/** pronk eval: perplexity of a text. */
import { readFile } from "node:fs/promises";
import type { Runner, Span, SpanAdapter } from "../backends/backend.ts";
import type { OpenedAdapter } from "../engine/load-adapters.ts";
import { PronkError } from "../errors.ts";
import { perplexity, wholeRunner } from "../generate/perplexity.ts";
import { DEFAULT_MODEL } from "../hub/known-models.ts";
import { lastPart } from "./address.ts";
import { flagOption, integerOption, textOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { LORA_OPTION } from "./lora-options.ts";
import { JSON_OPTION, loadForCommand, MODEL_OPTIONS, openLora } from "./model-options.ts";
import { perplexityPicture, type ScoredWindow } from "./pictures/bench-pictures.ts";
import { SVG_OPTION, writePicture } from "./pictures/write-picture.ts";
import { createProgress } from "./progress.ts";

const DEFAULT_CTX = 512;

/** Rows of a batch, all of them with logits. */
const CHUNK = 64;

export const evaluate: Command = {
  name: "eval",
  group: "Look inside",
  summary: "measure the perplexity of a text",
  examples: [
    {
      line: "pronk eval model.gguf --text text.txt --ctx 128",
      does: "the perplexity of a text: lower is better",
    },
    {
      line: "pronk eval model.gguf --text text.txt --ctx 128 --kv int8 --json",
      does: "what a smaller cache costs",
    },
    {
      line: "pronk eval model.gguf --text text.txt --ctx 128 --svg eval.svg",
      does: "the perplexity along the text, as a picture",
    },
  ],
  positionals: "[MODEL] --text FILE",
  maxPositionals: 1,
  options: {
    text: { type: "string", value: "FILE", help: "the text" },
    ...MODEL_OPTIONS,
    ctx: { type: "string", value: "N", help: `tokens of a window, default ${DEFAULT_CTX}` },
    ...LORA_OPTION,
    ...SVG_OPTION,
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    const path = textOption(input, "text");
    if (!path) throw new UsageError("--text FILE is missing");
    const ctx = integerOption(input, "ctx", 2) ?? DEFAULT_CTX;
    const text = await readFile(path, "utf8").catch((cause: Error) => {
      throw new PronkError("not_found", `${path}: ${cause.message}`, { cause });
    });
    const opened = await openLora(input, cli);
    const { model, runtime } = await loadForCommand(input, cli, {
      roomFor: opened.map(({ adapter }) => adapter),
      ctx,
      slots: 1,
      chunk: CHUNK,
      maxLogits: CHUNK,
    });
    const progress = createProgress(cli);
    try {
      const adapters = await loadLora(opened, model.runner, cli.signal);
      const ids = model.tokenizer.encode(text);
      const { yieldTask } = runtime;
      const reader = wholeRunner(model.runner, { ...(adapters && { adapters }), yieldTask });
      const windows: ScoredWindow[] = [];
      const found = await perplexity(reader, ids, {
        ctx,
        onWindow: (nll, tokens) => windows.push({ nll, tokens }),
        signal: cli.signal,
        onProgress: (loaded, total) =>
          progress.report({ label: "scoring", loaded, total, unit: "tokens" }),
      });
      progress.finish(); // Before the result: both may be on one screen.
      const { ppl, nll, tokens } = found;
      await writePicture(input, () =>
        perplexityPicture(lastPart(input.positionals[0] ?? DEFAULT_MODEL), ctx, windows),
      );
      const line = `perplexity ${ppl.toFixed(4)} over ${tokens} tokens`;
      cli.out(`${flagOption(input, "json") ? JSON.stringify({ ppl, nll, tokens }) : line}\n`);
    } finally {
      progress.finish();
      model.runner.dispose();
    }
  },
};

async function loadLora(
  adapters: readonly OpenedAdapter[],
  runner: Runner,
  signal: AbortSignal,
): Promise<Span["adapters"]> {
  const loaded: SpanAdapter[] = [];
  for (const { adapter, scale } of adapters.filter((one) => one.scale !== 0)) {
    loaded.push({ handle: await runner.loadAdapter(adapter, signal), scale });
  }
  return loaded.length > 0 ? loaded : undefined;
}
