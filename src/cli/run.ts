/** pronk run: one prompt, streamed to stdout. */
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import type { GenerateRequest } from "../generate/request.ts";
import { encodeChat, systemLength } from "../server/chat-prompt.ts";
import { flagOption, integerOption, numberOption, textOption, UsageError } from "./arguments.ts";
import { coldStartOf, coldStartText } from "./cold-start.ts";
import type { Arguments, Command } from "./command.ts";
import { GRAMMAR_OPTIONS, grammarOf } from "./grammar-options.ts";
import { LORA_OPTION } from "./lora-options.ts";
import {
  CONTEXT_SHIFT_OPTION,
  engineForCommand,
  JSON_OPTION,
  MODEL_OPTIONS,
  SPECULATE_OPTIONS,
} from "./model-options.ts";
import { loadSnapshots, SNAPSHOT_OPTION } from "./snapshot-option.ts";
import { answerText, jsonLine } from "./terminal/visible-text.ts";

/** For prompts without a template, which seldom end by themselves. */
const DEFAULT_PROMPT_TOKENS = 128;

export const run: Command = {
  name: "run",
  group: "Use a model",
  summary: "generate from one prompt, streamed to stdout",
  examples: [
    {
      line: 'pronk run --chat "Why is the sky blue?" --max-tokens 24',
      does: "answer one message; the default model is fetched and packed the first time",
    },
    {
      line: 'pronk run model.gguf --prompt "Once upon a time" --max-tokens 20 --temperature 0.8 --seed 1',
      does: "go on from a text; the same seed gives the same text on every machine",
    },
    {
      line: 'pronk run --chat "Name a city." --json-schema schema.json --max-tokens 40',
      does: "an answer that is valid JSON of this schema",
    },
    {
      line: 'pronk run --chat "Hi" --max-tokens 4 --json',
      does: "text, tokens, timings and what ran it, as one JSON document",
    },
  ],
  positionals: "[MODEL] --prompt TEXT | --chat TEXT",
  maxPositionals: 1,
  options: {
    prompt: { type: "string", value: "TEXT", help: "go on from this text" },
    chat: { type: "string", value: "TEXT", help: "answer this message, by the chat template" },
    system: { type: "string", value: "TEXT", help: "system message, with --chat" },
    "max-tokens": {
      type: "string",
      value: "N",
      help: "at most; default with --prompt 128, with --chat what there is room for",
    },
    temperature: {
      type: "string",
      value: "T",
      help: "0 is greedy, the default",
      group: "Sampling",
    },
    seed: { type: "string", value: "S", help: "same seed, same text", group: "Sampling" },
    "top-p": { type: "string", value: "P", help: "nucleus sampling", group: "Sampling" },
    "top-k": { type: "string", value: "K", help: "among the K most likely", group: "Sampling" },
    ...GRAMMAR_OPTIONS,
    ...MODEL_OPTIONS,
    ...SPECULATE_OPTIONS,
    ...CONTEXT_SHIFT_OPTION,
    ...LORA_OPTION,
    ...SNAPSHOT_OPTION,
    verbose: {
      type: "boolean",
      help: "say on stderr where the time to the first token went, and why this backend",
    },
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    const prompt = textOption(input, "prompt");
    const chat = textOption(input, "chat");
    if ((prompt === undefined) === (chat === undefined)) {
      throw new UsageError("one of --prompt TEXT and --chat TEXT is needed");
    }
    const sampling = samplingOf(input);
    const grammar = await grammarOf(input);
    const command = performance.now();
    const engine = await loadSnapshots(await engineForCommand(input, cli, { slots: 1 }), input);
    const loaded = performance.now();
    try {
      if (grammar !== undefined) engine.checkGrammar(grammar);
      const { prompt_ids, n_keep } =
        prompt === undefined
          ? chatPrompt(engine, chat ?? "", textOption(input, "system"))
          : { prompt_ids: engine.tokenizer.encode(prompt, { parseSpecial: true }) };
      const max_tokens =
        integerOption(input, "max-tokens", 1) ??
        (prompt === undefined ? undefined : DEFAULT_PROMPT_TOKENS);
      const request: GenerateRequest = {
        ...sampling,
        prompt_ids,
        max_tokens,
        n_keep,
        ...(grammar && { grammar }),
      };
      const json = flagOption(input, "json");
      const prompted = performance.now();
      const generation = engine.stream(request, { signal: cli.signal });
      let firstToken: number | undefined;
      for await (const { text } of generation) {
        firstToken ??= performance.now();
        if (!json && text) cli.out(answerText(text, cli));
      }
      const { ids, text, finish_reason, timings } = await generation.result;
      const { backend, backendReason: backend_reason, kernel, loading } = engine.info;
      const cold_start =
        loading && firstToken && coldStartOf({ command, loaded, prompted, firstToken }, loading);
      if (flagOption(input, "verbose")) {
        if (cold_start) cli.err(coldStartText(cold_start));
        if (backend_reason) cli.err(`backend      ${backend_reason}\n`);
      }
      if (!json) return cli.out("\n");
      const usage = {
        prompt_tokens: prompt_ids.length,
        completion_tokens: ids.length,
        total_tokens: prompt_ids.length + ids.length,
      };
      const threads = engine.stats().threads?.used ?? 1;
      const facts = { usage, timings, cold_start, backend, backend_reason, kernel, threads };
      const document = { text, ids, prompt_ids, finish_reason, ...facts };
      cli.out(jsonLine(document));
    } finally {
      await engine.dispose();
    }
  },
};

/** @throws UsageError */
function samplingOf(input: Arguments): Omit<GenerateRequest, "prompt_ids"> {
  return {
    temperature: numberOption(input, "temperature", 0, 2) ?? 0,
    seed: integerOption(input, "seed", 0),
    top_p: numberOption(input, "top-p", 0, 1),
    top_k: integerOption(input, "top-k", 0),
  };
}

/** @throws PronkError "unsupported" when the model has no chat template. */
function chatPrompt(
  { template, tokenizer, info }: Engine,
  text: string,
  system?: string,
): { prompt_ids: number[]; n_keep?: number } {
  if (!template) {
    throw new PronkError("unsupported", `${info.id}: has no chat template; --prompt works`);
  }
  const messages = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: text },
  ];
  const prompt_ids = encodeChat(template, tokenizer, messages);
  return { prompt_ids, n_keep: systemLength(template, tokenizer, messages, prompt_ids) };
}
