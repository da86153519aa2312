/** A conversation: what was said, how answers are made, and the commands that change either. */
import { readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Engine } from "../../engine/engine.ts";
import { PronkError } from "../../errors.ts";
import type { GenerateResult } from "../../generate/request.ts";
import { isMapping } from "../../hub/assets/merge-config.ts";
import { writeFileAtomically } from "../../platform/host/atomic-file.ts";
import { encodeChat, systemLength } from "../../server/chat-prompt.ts";
import type { ChatMessage, ChatTemplate } from "../../templates/chat-template.ts";
import { UsageError } from "../arguments.ts";
import { type ChatSettings, parseGenerationFlags, requestOf } from "../generation-flags.ts";
import { nearestName } from "../nearest.ts";
import { CHAT_COMMANDS, chatCommand, chatHelp } from "./chat-commands.ts";
import { contextBar, figuresLine } from "./chat-stats.ts";

export interface ChatSessionOptions {
  /** As the user named the model: for file names. */
  readonly model: string;
  readonly system: string | undefined;
  readonly settings: ChatSettings;
  readonly saveFolder: string;
  readonly examples: Readonly<Record<string, string>>;
  /** Of the terminal. */
  readonly columns: () => number;
}

/** What a command of the user's comes to. */
export type CommandOutcome =
  | { readonly kind: "say"; readonly text: string }
  | { readonly kind: "send"; readonly text: string }
  | { readonly kind: "quit" };

/** A saved conversation: a context has room for far less. */
const MAX_SAVED_BYTES = 10_000_000;

const ROLES = ["system", "user", "assistant"];

interface Last {
  readonly promptTokens: number;
  readonly result: GenerateResult;
  readonly firstMs: number | undefined;
}

export class ChatSession {
  readonly #engine: Engine;
  readonly #template: ChatTemplate;
  readonly #options: ChatSessionOptions;
  #messages: ChatMessage[];
  #system: string | undefined;
  #settings: ChatSettings;
  #last: Last | undefined;
  #showsFigures = false;

  /** @throws PronkError "unsupported" when the model has no chat template. */
  constructor(engine: Engine, options: ChatSessionOptions) {
    if (!engine.template) {
      throw new PronkError(
        "unsupported",
        `${engine.info.id}: has no chat template; pronk run --prompt goes on from a text`,
      );
    }
    this.#engine = engine;
    this.#template = engine.template;
    this.#options = options;
    this.#system = options.system;
    this.#settings = options.settings;
    this.#messages = this.#opening();
  }

  /**
   * Answers a message, piece by piece. What came before the signal fired stays in the conversation; a
   * message that cannot be answered does not.
   *
   * @throws PronkError as Engine.stream.
   */
  async *answer(text: string, signal: AbortSignal): AsyncGenerator<string> {
    const messages = [...this.#messages, { role: "user", content: text }];
    const { tokenizer } = this.#engine;
    const prompt_ids = encodeChat(this.#template, tokenizer, messages);
    const n_keep = systemLength(this.#template, tokenizer, messages, prompt_ids);
    const request = { ...requestOf(this.#settings), prompt_ids, n_keep };
    this.#last = undefined;
    const began = performance.now();
    const generation = this.#engine.stream(request, { signal });
    let answer = "";
    let firstMs: number | undefined;
    try {
      for await (const part of generation) {
        answer += part.text;
        if (part.text === "") continue;
        firstMs ??= performance.now() - began;
        yield part.text;
      }
      this.#last = { promptTokens: prompt_ids.length, result: await generation.result, firstMs };
    } catch (error) {
      generation.result.catch(() => undefined);
      if (!signal.aborted || answer === "") throw error;
    }
    this.#messages = [...messages, { role: "assistant", content: answer }];
  }

  /** What is shown behind an answer: nothing unless it was asked for. */
  figures(): string {
    if (!this.#showsFigures || !this.#last) return "";
    const bar = contextBar(this.#used(), this.#engine.info.ctx);
    return `${this.#lastFigures(this.#last)}\ncontext ${bar}\n`;
  }

  /** @param line begins with "/" or "!". @throws UsageError */
  async command(line: string): Promise<CommandOutcome> {
    const [, name = "", rest = ""] = /^.(\S*)\s*([\s\S]*?)\s*$/.exec(line) ?? [];
    const say = (text: string): CommandOutcome => ({ kind: "say", text });
    switch (chatCommand(name)) {
      case "help":
        return say(chatHelp(this.#options.columns()));
      case "system":
        if (rest === "") return say(`${this.#system ?? "(no system message)"}\n`);
        this.#system = rest;
        this.#messages = this.#opening();
        return say("system message set, conversation begun anew\n");
      case "clear":
        this.#messages = this.#opening();
        return say("conversation begun anew\n");
      case "reset":
        this.#system = this.#options.system;
        this.#settings = this.#options.settings;
        this.#messages = this.#opening();
        return say("all as it was at the start\n");
      case "set":
        this.#settings = parseGenerationFlags(rest.split(/\s+/).filter(Boolean), this.#settings);
        return say(`${settingsText(this.#settings)}\n`);
      case "stats":
        return say(this.#stats(rest));
      case "retry":
        return { kind: "send", text: this.#takeBack() };
      case "undo":
        return say(`taken back: ${firstLine(this.#takeBack())}\n`);
      case "load":
        return say(await this.#load(rest));
      case "example":
        return this.#example(rest);
      case "save":
        return say(`saved in ${await this.#save(rest)}\n`);
      case "quit":
        return { kind: "quit" };
      default:
        throw new UsageError(unknown(line[0], name));
    }
  }

  #opening(): ChatMessage[] {
    return this.#system === undefined ? [] : [{ role: "system", content: this.#system }];
  }

  #example(name: string): CommandOutcome {
    const { examples } = this.#options;
    if (Object.hasOwn(examples, name)) {
      this.#messages = this.#opening();
      return { kind: "send", text: examples[name] };
    }
    const list = Object.entries(examples).map(([key, text]) => `${key.padEnd(12)} ${text}`);
    if (name === "") return { kind: "say", text: `${list.join("\n")}\n` };
    throw new UsageError(`no example ${name}; there are ${Object.keys(examples).join(", ")}`);
  }

  #stats(rest: string): string {
    if (rest === "on" || rest === "off") {
      this.#showsFigures = rest === "on";
      return `figures behind each answer: ${rest}\n`;
    }
    if (rest !== "") throw new UsageError("/stats on or off; alone: of the last answer");
    const { info } = this.#engine;
    const lines = [
      `model     ${info.id}, ${info.backend} ${info.kernel}`,
      ...(this.#last ? [`last      ${this.#lastFigures(this.#last)}`] : []),
      `context   ${contextBar(this.#used(), info.ctx)}`,
      `messages  ${this.#messages.length}`,
      `settings  ${settingsText(this.#settings)}`,
    ];
    return `${lines.join("\n")}\n`;
  }

  #lastFigures({ promptTokens, result, firstMs }: Last): string {
    const { timings, ids, finish_reason } = result;
    const isCut = finish_reason === "length";
    return figuresLine({ timings, tokens: ids.length, promptTokens, firstMs, isCut });
  }

  /** Tokens that the next message has before it. */
  #used(): number {
    if (this.#messages.length === 0) return 0;
    return encodeChat(this.#template, this.#engine.tokenizer, this.#messages).length;
  }

  /** The last message and what came of it go. @returns the message. */
  #takeBack(): string {
    const at = this.#messages.findLastIndex(({ role }) => role === "user");
    if (at === -1) throw new UsageError("nothing was said yet");
    const { content } = this.#messages[at];
    this.#messages = this.#messages.slice(0, at);
    return typeof content === "string" ? content : "";
  }

  /** What /save wrote, or a list of messages. */
  async #load(name: string): Promise<string> {
    if (name === "") throw new UsageError("/load FILE: which one?");
    const path = resolve(name);
    let data: unknown;
    try {
      const { size } = await stat(path);
      if (size > MAX_SAVED_BYTES) throw new Error(`${size} bytes are no conversation`);
      data = JSON.parse(await readFile(path, "utf8"));
    } catch (cause) {
      throw new UsageError(`${path}: ${(cause as Error).message}`);
    }
    const found = Array.isArray(data) ? data : isMapping(data) ? data.chat_history : undefined;
    if (!Array.isArray(found) || !found.every(isMessage)) {
      throw new UsageError(`${path}: has no chat_history of messages with a role and a content`);
    }
    this.#messages = found.map(({ role, content }) => ({ role, content }));
    const [first] = this.#messages;
    this.#system = first?.role === "system" ? String(first.content) : undefined;
    const last = this.#messages.at(-1);
    const shown = last ? `; the last: ${last.role}: ${firstLine(String(last.content))}` : "";
    return `${this.#messages.length} messages${shown}\n`;
  }

  async #save(name: string): Promise<string> {
    const { model, saveFolder } = this.#options;
    const time = new Date().toISOString().slice(0, 19).replace("T", "_").replaceAll(":", "-");
    const folder = model.replace(/[^\w.-]+/g, "_");
    const path = resolve(name || join(saveFolder, folder, `chat_${time}.json`));
    const settings = { model_name_or_path: model, ...this.#settings };
    const document = { settings, chat_history: this.#messages };
    try {
      // What is there already stays whole until the new one is.
      const text = `${JSON.stringify(document, undefined, 4)}\n`;
      await writeFileAtomically(path, new TextEncoder().encode(text));
    } catch (cause) {
      throw new UsageError(`${path}: ${(cause as Error).message}`);
    }
    return path;
  }
}

function isMessage(value: unknown): value is { role: string; content: string } {
  return (
    isMapping(value) && ROLES.includes(String(value.role)) && typeof value.content === "string"
  );
}

function firstLine(text: string): string {
  const [line = ""] = text.split("\n");
  return line.length < text.length ? `${line} ...` : line;
}

function unknown(mark: string, name: string): string {
  const meant = nearestName(
    name,
    CHAT_COMMANDS.flatMap(({ names }) => names),
  );
  const hint = meant === undefined ? "" : `; did you mean ${mark}${meant}?`;
  return `no command ${mark}${name}${hint}; /help lists them`;
}

function settingsText(settings: ChatSettings): string {
  return Object.entries(settings)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(" ");
}
