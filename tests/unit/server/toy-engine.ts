/** The real engine and a small real tokenizer over a runner whose next token is known beforehand. */
import { readFileSync } from "node:fs";
import type { Batch, Runner } from "../../../src/backends/backend.ts";
import { createEngine, type EngineOptions } from "../../../src/engine/create-engine.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import type { ChatTemplate } from "../../../src/templates/chat-template.ts";
import { createChatTemplate } from "../../../src/templates/jinja-template.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";

const TOKENIZER = "tests/goldens/tokenizers/tok_bpe.gguf";
const gguf = await readGguf(memorySource(readFileSync(TOKENIZER), TOKENIZER));

/** 1,256 tokens in the manner of Llama 3. */
export const tokenizer: Tokenizer = loadTokenizer(compileTokenizer(gguf.metadata));

/** Llama 3's own template, which trims contents, and begins with BOS. */
export const template: ChatTemplate = jinja(
  String(gguf.metadata.get("tokenizer.chat_template")),
  tokenizer.tokenText(tokenizer.bosId ?? 0),
);

export function jinja(source: string, bos_token = ""): ChatTemplate {
  return createChatTemplate(source, { bos_token });
}

export interface ToyOptions {
  /** What the model says, then it ends its turn. */
  readonly reply?: string;
  /** What it says with an adapter, by the adapter's folder; at a scale of 1 or more. */
  readonly adapterReplies?: Readonly<Record<string, string>>;
  /** What texts stand for as adapters. */
  readonly openAdapter?: EngineOptions["openAdapter"];
  /** Every token is about equally likely, so that the seed decides. */
  readonly random?: boolean;
  readonly ctx?: number;
  readonly slots?: number;
  readonly maxQueue?: number;
  readonly contextShift?: boolean;
  readonly template?: ChatTemplate | undefined;
  /** Called before each batch; what it throws or rejects with is the backend's failure. */
  readonly onForward?: (call: number) => void | Promise<void>;
}

export interface Toy {
  readonly engine: Engine;
  /** Batches that were run so far. */
  forwards(): number;
  readonly replyIds: readonly number[];
}

export function createToy(options: ToyOptions = {}): Toy {
  const { ctx = 256, slots = 2, maxQueue } = options;
  const idsOf = (text: string): readonly number[] => [
    ...tokenizer.encode(text, { addSpecialTokens: false }),
    tokenizer.eosId ?? 0,
  ];
  const replyIds = idsOf(options.reply ?? "There are 7 days in a week.");
  const loaded = new Map<number, readonly number[]>();
  let handles = 0;
  const vocab = tokenizer.vocabSize;
  const histories = Array.from({ length: slots }, () => new Int32Array(ctx));
  let rows: Float32Array[] = [];
  let states: { id: number; position: number }[] = [];
  let calls = 0;
  let seed = 1;

  const logitsAfter = (history: Int32Array, said: readonly number[]): Float32Array => {
    const logits = new Float32Array(vocab);
    for (let id = 0; id < vocab; id++) logits[id] = ((id * 7919 + 13) % 1000) / 1000;
    if (!options.random) logits[nextOf(history, said)] = 20;
    return logits;
  };
  const compute = ({ ids, spans, logitsRows }: Batch): void => {
    let row = 0;
    rows = [];
    states = [];
    for (const { slot, start, count, adapters = [] } of spans) {
      const applied = adapters.find(({ scale }) => scale >= 1);
      const said = applied ? loaded.get(applied.handle)! : replyIds;
      const history = histories[slot]!;
      for (let i = 0; i < count; i++, row++) {
        history[start + i] = ids[row]!;
        if (logitsRows.includes(row)) states.push({ id: ids[row]!, position: start + i });
        if (logitsRows.includes(row))
          rows.push(logitsAfter(history.subarray(0, start + i + 1), said));
      }
    }
  };
  const runner: Runner = {
    backend: "toy",
    kernel: "script",
    vocab,
    width: 8,
    ctx,
    slots,
    maxRows: 64,
    maxLogits: slots,
    layers: 1,
    kv: "f32",
    memory: { weights: 0, kv: 0, activations: 0, scratch: 0, total: 0 },
    weights: new Uint8Array(0),
    forward(batch) {
      const call = calls++;
      const waiting = options.onForward?.(call);
      if (waiting === undefined) return compute(batch);
      return waiting.then(() => compute(batch));
    },
    logits: (index) => rows[index]!,
    // Of the token itself and its place, so that every text has its own.
    states: (index) => statesOf(states[index]!),
    argmax: (index) => rows[index]!.indexOf(Math.max(...rows[index]!)),
    copySlot: () => {},
    readCache: () => ({ keys: new Float32Array(0), values: new Float32Array(0) }),
    positionBytes: 0,
    saveCache: () => new Uint8Array(0),
    loadCache: () => {},
    loadAdapter: async ({ name }) => {
      loaded.set(++handles, idsOf(options.adapterReplies?.[name] ?? name));
      return handles;
    },
    unloadAdapter: (handle) => {
      loaded.delete(handle);
    },
    adapterBytes: 0,
    dispose: () => {},
  };
  const engine = createEngine(
    {
      runner,
      tokenizer,
      template: "template" in options ? options.template : template,
      info: {
        id: "toy/llama",
        created: 1_700_000_000,
        fingerprint: "fp_toy",
        backend: runner.backend,
        kernel: runner.kernel,
        threads: 1,
        kernelReason: "script: the only one",
        memory: runner.memory,
        ctx,
        slots,
        vocab,
      },
    },
    {
      yieldTask: () => new Promise((resolve) => setImmediate(resolve)),
      now: () => performance.now(),
      // One fixed sequence: a test that passes once passes always.
      randomSeed: () => seed++,
    },
    {
      ...(maxQueue === undefined ? {} : { maxQueue }),
      contextShift: options.contextShift ?? false,
      ...(options.openAdapter && { openAdapter: options.openAdapter }),
    },
  );
  return { engine, forwards: () => calls, replyIds };
}

function statesOf({ id, position }: { id: number; position: number }): Float32Array {
  return Float32Array.from({ length: 8 }, (_, i) => Math.sin((i + 1) * id) + position / 8);
}

/** The token after the longest start of the reply that the history ends with. */
function nextOf(history: Int32Array, replyIds: readonly number[]): number {
  for (let said = Math.min(replyIds.length - 1, history.length); said > 0; said--) {
    const from = history.length - said;
    if (replyIds.slice(0, said).every((id, i) => history[from + i] === id)) return replyIds[said]!;
  }
  return replyIds[0]!;
}
