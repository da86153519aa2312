/** A conversation: what was said, how answers are made, and the commands that change either. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import type { GenerateResult } from "../generate/request.ts";
import { encodeChat, systemLength } from "../server/chat-prompt.ts";
import type { ChatMessage, ChatTemplate } from "../templates/chat-template.ts";
import { UsageError } from "./arguments.ts";
import { type ChatSettings, parseGenerationFlags, requestOf } from "./generation-flags.ts";

export interface ChatSessionOptions {
  /** As the user named the model: for file names. */
  readonly model: string;
  readonly system: string | undefined;
  readonly settings: ChatSettings;
  readonly saveFolder: string;
  readonly examples: Readonly<Record<string, string>>;
}

/** What a command of the user's comes to. */
export type CommandOutcome =
  | { readonly kind: "say"; readonly text: string }
  | { readonly kind: "send"; readonly text: string }
  | { readonly kind: "quit" };

export const CHAT_HELP = `/help               this list
/system [TEXT]      show the system message, or begin anew with this one
/clear              begin anew; system message and settings stay
/reset              begin anew, all as it was at the start
/set NAME=VALUE ... change settings: max_new_tokens, do_sample, temperature, top_k, top_p, min_p, typical_p,
                    repetition_penalty, eos_token_id, seed
/stats              tokens, speed and settings (also /status)
/example [NAME]     list the examples, or send one
/save [FILE]        write the conversation as JSON
/quit               end (also /exit and Ctrl+D)
A line that begins with // is sent with one slash less. "!" is as good as "/".
`;

export class ChatSession {
  readonly #engine: Engine;
  readonly #template: ChatTemplate;
  readonly #options: ChatSessionOptions;
  #messages: ChatMessage[];
  #system: string | undefined;
  #settings: ChatSettings;
  #last: { prompt: number; result: GenerateResult } | undefined;

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
    const generation = this.#engine.stream(request, { signal });
    let answer = "";
    try {
      for await (const part of generation) {
        answer += part.text;
        if (part.text) yield part.text;
      }
      this.#last = { prompt: prompt_ids.length, result: await generation.result };
    } catch (error) {
      generation.result.catch(() => undefined);
      if (!signal.aborted || answer === "") throw error;
    }
    this.#messages = [...messages, { role: "assistant", content: answer }];
  }

  /** @param line begins with "/" or "!". @throws UsageError */
  async command(line: string): Promise<CommandOutcome> {
    const [, name, rest] = /^.(\S*)\s*([\s\S]*?)\s*$/.exec(line) ?? [];
    const say = (text: string): CommandOutcome => ({ kind: "say", text });
    switch (name) {
      case "help":
        return say(CHAT_HELP);
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
      case "status":
        return say(this.#stats());
      case "example":
        return this.#example(rest);
      case "save":
        return say(`saved in ${await this.#save(rest)}\n`);
      case "quit":
      case "exit":
        return { kind: "quit" };
      default:
        throw new UsageError(`no command ${line.split(/\s/)[0]}; /help lists them`);
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

  #stats(): string {
    const { info } = this.#engine;
    const lines = [`model      ${info.id}, ${info.kernel}, context of ${info.ctx} tokens`];
    if (this.#last) {
      const { prompt, result } = this.#last;
      const { cached_n, predicted_n, predicted_ms } = result.timings;
      const speed = predicted_ms > 0 ? (predicted_n * 1000) / predicted_ms : 0;
      const used = prompt + result.ids.length;
      lines.push(
        `used       ${used} tokens of ${info.ctx}`,
        `last       ${prompt} tokens read, ${cached_n} of them from the cache; ${result.ids.length} written, ${speed.toFixed(1)} a second`,
      );
    }
    lines.push(`messages   ${this.#messages.length}`, `settings   ${settingsText(this.#settings)}`);
    return `${lines.join("\n")}\n`;
  }

  async #save(name: string): Promise<string> {
    const { model, saveFolder } = this.#options;
    const time = new Date().toISOString().slice(0, 19).replace("T", "_").replaceAll(":", "-");
    const folder = model.replace(/[^\w.-]+/g, "_");
    const path = resolve(name || join(saveFolder, folder, `chat_${time}.json`));
    const settings = { model_name_or_path: model, ...this.#settings };
    const document = { settings, chat_history: this.#messages };
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, `${JSON.stringify(document, undefined, 4)}\n`);
    } catch (cause) {
      throw new UsageError(`${path}: ${(cause as Error).message}`);
    }
    return path;
  }
}

function settingsText(settings: ChatSettings): string {
  return Object.entries(settings)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(" ");
}
