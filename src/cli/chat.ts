/**
 * pronk chat: a conversation in the terminal, with the options of `transformers chat`.
 *
 * Source: transformers/commands/chat.py (4.57).
 */
import { readFile, stat } from "node:fs/promises";
import { PronkError } from "../errors.ts";
import { isMapping } from "../hub/assets/merge-config.ts";
import { parseYamlDocuments } from "../hub/assets/yaml-documents.ts";
import { defaultModel } from "../platform/host/create-engine.ts";
import { choiceOption, flagOption, optionGroup, textOption, UsageError } from "./arguments.ts";
import { completeChat } from "./chat/chat-commands.ts";
import { type ChatHistory, historyPath, openChatHistory } from "./chat/chat-history.ts";
import { ChatSession } from "./chat/chat-session.ts";
import { readMessage } from "./chat/read-message.ts";
import { WordWrapper } from "./chat/word-wrapper.ts";
import type { Arguments, CliContext, Command, LineInput } from "./command.ts";
import {
  CHAT_DEFAULTS,
  type ChatSettings,
  isGenerationFlag,
  parseGenerationFlags,
  settingsOfFile,
} from "./generation-flags.ts";
import { LORA_OPTION } from "./lora-options.ts";
import {
  CONTEXT_SHIFT_OPTION,
  engineForCommand,
  MODEL_OPTIONS,
  SPECULATE_OPTIONS,
} from "./model-options.ts";
import { answerText } from "./terminal/visible-text.ts";

const DTYPES = ["auto", "bfloat16", "float16", "float32"] as const;
const DEVICES = ["auto", "cpu"] as const;
const BNB_TYPES = ["fp4", "nf4"] as const;

/** The model and a setting each; more is a mistake. */
const MAX_WORDS = 64;

/** Of transformers. */
const EXAMPLES: Readonly<Record<string, string>> = {
  llama: "There is a Llama in my lawn, how can I get rid of it?",
  code: "Write a Python function that integrates any Python function f(x) numerically over an arbitrary interval [x_start, x_end].",
  helicopter: "How many helicopters can a human eat in one sitting?",
  numbers: "Count to 10 but skip every number ending with an 'e'",
  birds: "Why aren't birds real?",
  socks: "Why is it important to eat socks after meditating?",
  numbers2: "Which number is larger, 9.9 or 9.11?",
};

/** Accepted from `transformers chat`, where they mean something; each with what holds here. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  dtype: "weights are kept as --quant says",
  torch_dtype: "weights are kept as --quant says",
  attn_implementation: "there is one, which is exact",
  trust_remote_code: "no model brings code",
  bnb_4bit_quant_type: "4-bit weights have a form of their own",
  use_bnb_nested_quant: "4-bit weights have a form of their own",
  verbose: "there are no warnings to show",
};

const none = (name: string): string => `no effect: ${WITHOUT_EFFECT[name]}`;

export const chat: Command = {
  name: "chat",
  group: "Use a model",
  summary: "talk to a model in the terminal",
  examples: [
    {
      line: "pronk chat",
      does: "talk to the default model; /help lists what a line can begin with",
    },
    {
      line: 'pronk chat model.gguf temperature=0.7 --system_prompt "You are terse."',
      does: "another model, a setting by its name, and a system message",
    },
    {
      line: 'echo "Hello" | pronk chat max_new_tokens=8',
      does: "lines of a pipe are messages, answered one by one",
    },
  ],
  positionals: "[MODEL] [NAME=VALUE ...]",
  maxPositionals: MAX_WORDS,
  options: {
    model_name_or_path: { type: "string", value: "MODEL", help: "the model, if not named first" },
    model_revision: { type: "string", value: "REV", help: "branch, tag or commit on the hub" },
    user: { type: "string", value: "NAME", help: "what to call you; default: the system's name" },
    system_prompt: { type: "string", value: "TEXT", help: "system message" },
    "no-history": { type: "boolean", help: "keep nothing of what is typed for the next chat" },
    save_folder: { type: "string", value: "DIR", help: "for /save; default ./chat_history" },
    examples_path: { type: "string", value: "FILE", help: "YAML of examples, NAME: {text: TEXT}" },
    generation_config: { type: "string", value: "FILE", help: "a generation_config.json" },
    device: { type: "string", value: "D", help: "auto|cpu" },
    load_in_8bit: { type: "boolean", help: "as --quant q8" },
    load_in_4bit: { type: "boolean", help: "as --quant q4" },
    ...optionGroup("Of transformers, without effect here", {
      dtype: { type: "string", value: "T", help: none("dtype") },
      torch_dtype: { type: "string", value: "T", help: none("torch_dtype") },
      attn_implementation: { type: "string", value: "A", help: none("attn_implementation") },
      trust_remote_code: { type: "boolean", help: none("trust_remote_code") },
      bnb_4bit_quant_type: { type: "string", value: "T", help: none("bnb_4bit_quant_type") },
      use_bnb_nested_quant: { type: "boolean", help: none("use_bnb_nested_quant") },
      verbose: { type: "boolean", help: none("verbose") },
    }),
    ...MODEL_OPTIONS,
    ...SPECULATE_OPTIONS,
    ...CONTEXT_SHIFT_OPTION,
    ...LORA_OPTION,
  },
  async run(input, cli): Promise<void> {
    const { model, flags } = wordsOf(input, cli);
    checkAccepted(input, cli);
    const settings = parseGenerationFlags(flags, await startSettings(input));
    const examples = await examplesOf(input);
    const name = await resolveName(model, textOption(input, "model_revision"));
    const engine = await engineForCommand(
      { positionals: [name], values: withQuantization(input) },
      cli,
      { slots: 1 },
    );
    const history = flagOption(input, "no-history")
      ? undefined
      : await openChatHistory(historyPath(cli.env));
    const names = Object.keys(examples);
    const lines = await cli.openLines({
      history: history?.entries,
      complete: (line) => completeChat(line, names),
    });
    try {
      const session = new ChatSession(engine, {
        model,
        system: textOption(input, "system_prompt"),
        settings,
        saveFolder: textOption(input, "save_folder") ?? "./chat_history",
        examples,
        columns: cli.columns,
      });
      const user = textOption(input, "user") ?? cli.env.USER ?? cli.env.USERNAME ?? "user";
      // Pipes are no typing.
      const kept = lines.isTerminal ? history : undefined;
      await converse(session, lines, { user, model: engine.info.id }, kept, cli);
    } finally {
      lines.close();
      await engine.dispose();
    }
  },
};

/** Reads messages until they end. On a terminal what goes wrong is said, and the next one is read. */
async function converse(
  session: ChatSession,
  lines: LineInput,
  names: { readonly user: string; readonly model: string },
  history: ChatHistory | undefined,
  cli: CliContext,
): Promise<void> {
  const { bold, dim } = cli.colors.out;
  if (lines.isTerminal) {
    cli.out(`${bold(names.model)}. /help says what can be typed, Ctrl+D leaves.\n\n`);
  }
  const prompt = lines.isTerminal ? `${bold(`<${names.user}>:`)} ` : "";
  // Ctrl+C was the last thing that was typed.
  let isLeaving = false;
  for (;;) {
    const line = await readMessage(lines, prompt);
    if (line === undefined) return lines.isTerminal ? cli.out("\n") : undefined;
    if (cli.signal.aborted) throw new PronkError("aborted", "aborted");
    if (line === null) {
      if (isLeaving) return;
      isLeaving = true;
      cli.out(dim("Ctrl+C again leaves, and so does Ctrl+D\n"));
      continue;
    }
    isLeaving = false;
    if (line.trim() === "") continue;
    await history?.add(line.trimEnd());
    try {
      const text = await messageOf(session, line.trim(), cli);
      if (text === "quit") return;
      if (text !== undefined) {
        isLeaving = await answer(session, text.message, lines, names.model, cli);
      }
    } catch (error) {
      if (!(error instanceof PronkError)) throw error;
      const isSlip = error instanceof UsageError;
      if ((!lines.isTerminal && !isSlip) || error.code === "engine_failed") throw error;
      if (cli.signal.aborted) throw error;
      const more = error.code === "context_overflow" ? "; /clear begins anew, /undo goes back" : "";
      cli.err(`${cli.colors.err.red(error.message)}${more}\n`);
    }
  }
}

/** What is to be sent; undefined when the line was a command that is done. */
async function messageOf(
  session: ChatSession,
  line: string,
  cli: CliContext,
): Promise<{ message: string } | "quit" | undefined> {
  if (line.startsWith("//")) return { message: line.slice(1) };
  if (!/^[/!]/.test(line)) return { message: line };
  const outcome = await session.command(line);
  if (outcome.kind === "quit") return "quit";
  cli.out(outcome.kind === "send" ? `${outcome.text}\n` : outcome.text);
  return outcome.kind === "send" ? { message: outcome.text } : undefined;
}

/**
 * Ctrl+C ends the answer; once more, before that has happened, the chat.
 *
 * @returns whether it was stopped.
 */
async function answer(
  session: ChatSession,
  text: string,
  lines: LineInput,
  model: string,
  cli: CliContext,
): Promise<boolean> {
  const stop = new AbortController();
  lines.onInterrupt = () => (stop.signal.aborted ? lines.close() : stop.abort());
  const signal = AbortSignal.any([stop.signal, cli.signal]);
  const { bold, cyan, dim } = cli.colors.out;
  const head = `<${model}>: `;
  const words = lines.isTerminal ? new WordWrapper(cli.columns, head.length) : undefined;
  try {
    if (words) cli.out(`${bold(cyan(head.trimEnd()))} `);
    for await (const piece of session.answer(text, signal)) {
      const shown = answerText(piece, cli);
      cli.out(words?.write(shown) ?? shown);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    lines.onInterrupt = undefined;
    cli.out(`${words?.end() ?? ""}${stop.signal.aborted ? dim(" (stopped)") : ""}\n`);
    if (words) cli.out(`${dim(session.figures())}\n`);
  }
  return stop.signal.aborted;
}

/** The model's name, and the settings, which may stand in any order. @throws UsageError */
function wordsOf(input: Arguments, cli: CliContext): { model: string; flags: string[] } {
  const names = input.positionals.filter((word) => !isGenerationFlag(word));
  if (names.length > 1) throw new UsageError(`unexpected argument ${names[1]}`);
  const flags = input.positionals.filter(isGenerationFlag);
  const model = names[0] ?? textOption(input, "model_name_or_path") ?? defaultModel(cli.env);
  return { model, flags };
}

/** @throws UsageError on values that transformers would not take either. */
function checkAccepted(input: Arguments, cli: CliContext): void {
  const dtype = choiceOption(input, "dtype", DTYPES);
  const alias = choiceOption(input, "torch_dtype", DTYPES);
  if (dtype !== undefined && alias !== undefined && dtype !== alias) {
    throw new UsageError(`--torch_dtype ${alias} and --dtype ${dtype} have different values`);
  }
  choiceOption(input, "device", DEVICES);
  choiceOption(input, "bnb_4bit_quant_type", BNB_TYPES);
  for (const [name, why] of Object.entries(WITHOUT_EFFECT)) {
    if (input.values[name] !== undefined) cli.note(`pronk chat: --${name} has no effect: ${why}\n`);
  }
}

function withQuantization(input: Arguments): Arguments["values"] {
  const asked = [
    ...(flagOption(input, "load_in_8bit") ? ["q8"] : []),
    ...(flagOption(input, "load_in_4bit") ? ["q4"] : []),
    ...(input.values.quant === undefined ? [] : [String(input.values.quant)]),
  ];
  if (asked.length > 1) throw new UsageError("one of --load_in_8bit, --load_in_4bit and --quant");
  return asked.length === 0 ? input.values : { ...input.values, quant: asked[0] };
}

/** `OWNER/REPO` is a path where there is one, else the hub's. @throws UsageError */
async function resolveName(name: string, revision: string | undefined): Promise<string> {
  const isRepository = /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(name) && !name.endsWith(".gguf");
  const isThere = isRepository && (await stat(name).catch(() => undefined)) !== undefined;
  const full = isRepository && !isThere ? `hf:${name}` : name;
  if (revision === undefined) return full;
  const [, repository, rest] = /^(hf:[^@:]+)(:.+)?$/.exec(full) ?? [];
  if (!repository) throw new UsageError(`--model_revision: ${name} is no model of the hub`);
  return `${repository}@${revision}${rest ?? ""}`;
}

async function startSettings(input: Arguments): Promise<ChatSettings> {
  const path = textOption(input, "generation_config");
  if (path === undefined) return CHAT_DEFAULTS;
  let data: unknown;
  try {
    data = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new UsageError(`--generation_config ${path}: ${(error as Error).message}`);
  }
  if (!isMapping(data)) throw new UsageError(`--generation_config ${path}: not a JSON object`);
  return settingsOfFile(data, CHAT_DEFAULTS);
}

async function examplesOf(input: Arguments): Promise<Readonly<Record<string, string>>> {
  const path = textOption(input, "examples_path");
  if (path === undefined) return EXAMPLES;
  const text = await readFile(path, "utf8").catch((cause: Error) => {
    throw new UsageError(`--examples_path ${path}: ${cause.message}`);
  });
  const [examples] = parseYamlDocuments(text, path);
  if (!isMapping(examples)) throw new UsageError(`--examples_path ${path}: not a mapping`);
  const entries = Object.entries(examples).map(([name, example]) => {
    const found = isMapping(example) ? example.text : undefined;
    if (typeof found === "string") return [name, found] as const;
    throw new UsageError(`--examples_path ${path}: ${name}: has no text`);
  });
  return Object.fromEntries(entries);
}
