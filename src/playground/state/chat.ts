/** The chat as the page has it: the conversation, what is typed, and the one answer that runs. */
import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { PronkError } from "../../errors.ts";
import type { LlmAnswer, LlmRequest, PlaygroundEngine } from "../engine.ts";
import {
  added,
  type Conversation,
  changed,
  EMPTY,
  fromStored,
  type Message,
  pathOf,
  promptOf,
  shortened,
  stepped,
  toStored,
} from "./conversation.ts";
import { LiveFigures } from "./live-figures.ts";
import { DEFAULT_SETTINGS, parseSettings, requestFields, type Settings } from "./settings.ts";
import { storedSignal } from "./stored.ts";

/** How often a long answer is written to storage at most. */
const SAVE_MS = 1000;

const asText = (stored: unknown): string | undefined =>
  typeof stored === "string" ? stored : undefined;

export class Chat {
  readonly conversation: Signal<Conversation> = storedSignal("conversation", EMPTY, {
    parse: fromStored,
    keep: toStored,
    delayMs: SAVE_MS,
  });
  readonly settings: Signal<Settings> = storedSignal("settings", DEFAULT_SETTINGS, {
    parse: parseSettings,
  });
  /** What is typed and not sent. */
  readonly draft: Signal<string> = storedSignal("draft", "", { parse: asText });
  readonly path: ReadonlySignal<readonly Message[]> = computed(() =>
    pathOf(this.conversation.value),
  );
  /** The answer that runs, by its message. */
  readonly running: ReadonlySignal<string | undefined>;
  /** Of the answer that runs, while it does. */
  readonly live: LiveFigures = new LiveFigures();
  /** The conversation before it was cleared, until the next message. */
  readonly cleared: Signal<Conversation | undefined> = signal(undefined);
  readonly #running: Signal<string | undefined> = signal(undefined);
  readonly #engine: ReadonlySignal<PlaygroundEngine | undefined>;
  #abort: AbortController | undefined;

  constructor(engine: ReadonlySignal<PlaygroundEngine | undefined>) {
    this.#engine = engine;
    this.running = this.#running;
  }

  /** Says something, after what is looked at. */
  send(text: string): void {
    this.#say(text, this.path.peek().at(-1)?.id);
  }

  /** Says something else in place of a message, which stays beside it. */
  edit(message: Message, text: string): void {
    this.#say(text, message.parent);
  }

  /** Asks for an answer to a message that has none. */
  ask(message: Message): void {
    void this.#answer(message.id);
  }

  /** Asks for another answer, beside this one, to the same messages. */
  retry(answer: Message): void {
    if (answer.parent !== undefined) void this.#answer(answer.parent);
  }

  /** Leaves the older half of the prompt out and asks again. @returns whether there was anything to leave out. */
  shorten(answer: Message): boolean {
    const shorter = shortened(this.conversation.peek());
    if (shorter === undefined) return false;
    this.conversation.value = shorter;
    this.retry(answer);
    return true;
  }

  /** Puts everything back into the prompt that was left out of it. */
  lengthen(): void {
    this.conversation.value = { ...this.conversation.peek(), from: undefined };
  }

  step(message: Message, by: number): void {
    this.conversation.value = stepped(this.conversation.peek(), message, by);
  }

  stop(): void {
    this.#abort?.abort();
  }

  /** Begins anew; restore() takes it back. */
  clear(): void {
    this.stop();
    this.cleared.value = this.conversation.peek();
    this.conversation.value = EMPTY;
  }

  restore(): void {
    const before = this.cleared.peek();
    if (before !== undefined) this.conversation.value = before;
    this.cleared.value = undefined;
  }

  /** What is asked for with these messages: the system prompt in front, fields as they are set. */
  requestFor(prompt: readonly Message[]): LlmRequest & { messages: object[] } {
    const settings = this.settings.peek();
    const system = settings.system.trim();
    const messages: LlmRequest["messages"] = prompt.map(({ role, text }) => ({
      role,
      content: text,
    }));
    const first = system === "" ? [] : [{ role: "system" as const, content: system }];
    return { messages: [...first, ...messages], ...requestFields(settings) };
  }

  #say(text: string, parent: string | undefined): void {
    if (text.trim() === "" || this.#running.peek() !== undefined) return;
    const id = crypto.randomUUID();
    this.cleared.value = undefined;
    this.conversation.value = added(this.conversation.peek(), { id, parent, role: "user", text });
    void this.#answer(id);
  }

  async #answer(parent: string): Promise<void> {
    const engine = this.#engine.peek();
    if (engine === undefined || this.#running.peek() !== undefined) return;
    const request = this.requestFor(promptOf(this.conversation.peek(), parent));
    const id = crypto.randomUUID();
    const abort = new AbortController();
    this.#abort = abort;
    this.#change((before) =>
      added(before, { id, parent, role: "assistant", text: "", state: "running" }),
    );
    this.#running.value = id;
    this.live.begin();
    const show = (change: Partial<Message>): void =>
      this.#change((before) => changed(before, id, change));
    try {
      const end = await this.#stream(engine.chat(request, abort.signal), show);
      show(end);
    } catch (error) {
      show(abort.signal.aborted ? { state: "stopped" } : { state: "failed", error: said(error) });
    } finally {
      this.live.end();
      this.#running.value = undefined;
    }
  }

  /** Shows what comes, once a frame. @returns what the message is at its end. */
  async #stream(
    parts: ReturnType<PlaygroundEngine["chat"]>,
    show: (change: Partial<Message>) => void,
  ): Promise<Partial<Message>> {
    let text = "";
    let logprobs: NonNullable<Message["logprobs"]> = [];
    let answer: LlmAnswer | undefined;
    let frame: ReturnType<typeof setTimeout> | undefined;
    const flush = (): void => {
      clearTimeout(frame);
      frame = undefined;
      show({ text, ...(logprobs.length > 0 && { logprobs }) });
    };
    try {
      for await (const part of parts) {
        answer = part.answer;
        if (answer !== undefined) break;
        this.live.count(part);
        text += part.text;
        if (part.logprobs !== undefined) logprobs = [...logprobs, ...part.logprobs];
        frame ??= setTimeout(flush, FRAME_MS);
      }
    } finally {
      flush();
    }
    if (answer === undefined) return { state: "stopped" };
    const { usage, timings, finish_reason, tool_calls, model } = answer;
    return {
      state: "done",
      finishReason: finish_reason,
      figures: {
        usage,
        timings,
        firstTokenMs: this.live.firstTokenMs.peek(),
        perSecond: this.live.end(),
      },
      ...(tool_calls.length > 0 && { toolCalls: tool_calls }),
      model,
    };
  }

  #change(how: (before: Conversation) => Conversation): void {
    this.conversation.value = how(this.conversation.peek());
  }
}

/** Text is shown 20 times a second at most: nobody reads faster, and hidden tabs have no animation frames. */
const FRAME_MS = 50;

function said(error: unknown): NonNullable<Message["error"]> {
  if (error instanceof PronkError) return { code: error.code, message: error.message };
  return { code: "unexpected", message: error instanceof Error ? error.message : String(error) };
}
