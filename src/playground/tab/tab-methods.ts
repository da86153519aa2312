/** What a page's worker does: it keeps the library of models, and runs one of them. */

import type { Engine } from "../../engine/engine.ts";
import { loadGrammars } from "../../engine/lazy-grammars.ts";
import { planModel } from "../../engine/load-model.ts";
import type { SourceInput } from "../../engine/opened-model.ts";
import { PronkError } from "../../errors.ts";
import { createEngine } from "../../platform/browser/create-engine.ts";
import { createLlm, type Llm, type LlmRequest } from "../../server/llm.ts";
import { tokenPieces } from "../../tokenizers/token-pieces.ts";
import type { EngineFacts, TokenPiece } from "../engine.ts";
import { fileSource } from "./file-source.ts";
import type { ModelLibrary } from "./model-library.ts";
import type { CallContext, Methods } from "./serve-calls.ts";
import type {
  LibraryState,
  ModelChoice,
  OpenArgument,
  OpenOptions,
  OpenPart,
} from "./tab-calls.ts";
import { PING } from "./worker-calls.ts";

/** What a load of this tab has in common with every other. */
const TAB_SIZES = {
  /** One conversation. */
  slots: 1,
  /** Longer chats are rare, and a cache of a model's whole context would cost a phone its tab. */
  maxCtx: 4096,
  /** One memory: a tab that could have two of 4 GiB is no tab to count on. */
  stages: 1,
  speculate: "lookup",
} as const;

export interface TabParts {
  /** Opened when it is first needed: storage answers late. */
  readonly library: () => Promise<ModelLibrary>;
  /** Reads what is beside the page anew; keeps the last answer where there is no network. */
  readonly refresh: (library: ModelLibrary) => Promise<void>;
  readonly room: () => Promise<{ usage?: number; quota?: number }>;
}

interface OpenModel {
  readonly engine: Engine;
  readonly llm: Llm;
  /** In the library. */
  readonly key: string | undefined;
}

export function tabMethods({ library, refresh, room }: TabParts): Methods {
  let open: OpenModel | undefined;

  const running = (): OpenModel => {
    if (open !== undefined) return open;
    throw new PronkError("loading", "worker: no model is open");
  };
  const close = async (): Promise<void> => {
    const last = open;
    open = undefined;
    await last?.engine.dispose();
  };
  return {
    /** @returns where each is, and how much room there is. */
    async library(): Promise<LibraryState> {
      const found = await library();
      await refresh(found);
      const { usage = 0, quota } = await room();
      return {
        models: await found.list(),
        storedBytes: await found.storedBytes(),
        roomBytes: quota === undefined ? undefined : Math.max(0, quota - usage),
        keepsNothing: found.keepsModels ? undefined : "this browser keeps no files for this page",
        openKey: open?.key,
      };
    },
    async remove({ key }: { readonly key: string }): Promise<void> {
      await (await library()).remove(key);
    },
    async open({ model, options }: OpenArgument, context: CallContext): Promise<EngineFacts> {
      // What is refused costs nobody the model that runs.
      if ("files" in model) await planModel(inputOf(model.files), { ...options, ...TAB_SIZES });
      await close();
      const { engine, key } = await openEngine(model, options, await library(), context);
      open = { engine, llm: createLlm({ engine }), key };
      return factsOf(engine);
    },
    close,
    isOpen: async () => open !== undefined,
    async chat(request: LlmRequest, { signal, part }: CallContext): Promise<void> {
      if (!isPlain(request)) await loadGrammars();
      for await (const next of running().llm.stream(request, { signal })) part(next);
    },
    async tokenize(text: string): Promise<readonly TokenPiece[]> {
      const { tokenizer } = running().engine;
      return tokenPieces(tokenizer, text, { addSpecialTokens: true, parseSpecial: true });
    },
    async attentionMask(text: string) {
      // Loaded only here: most chats never look at it.
      const { AttentionMaskVisualizer } = await import("../../llama/attention-mask-visualizer.ts");
      return new AttentionMaskVisualizer(running().engine).grid(text);
    },
    async [PING](): Promise<void> {},
  };
}

async function openEngine(
  model: ModelChoice,
  options: OpenOptions,
  library: ModelLibrary,
  { signal, part }: CallContext,
): Promise<Pick<OpenModel, "engine" | "key">> {
  const load = (input: Parameters<typeof createEngine>[0]): Promise<Engine> =>
    createEngine(input, {
      threads: "auto",
      code: "later",
      ...options,
      ...TAB_SIZES,
      signal,
      onProgress: (progress) => part({ phase: "load", ...progress } satisfies OpenPart),
    });
  if ("key" in model) return loadKept(model.key);
  const input = inputOf(model.files);
  if (!model.keep) return { engine: await load(input), key: undefined };
  const { name } = model.files[0] ?? { name: "" };
  const bytes = model.files.reduce((sum, { size }) => sum + size, 0);
  const { packModel } = await import("../../engine/pack-model.ts");
  const key = await library.keep(name, bytes, (target) =>
    packModel(input, target, {
      signal,
      onProgress: ({ packed: loaded, total }) =>
        part({ phase: "pack", loaded, total } satisfies OpenPart),
    }),
  );
  return loadKept(key);

  async function loadKept(key: string): Promise<Pick<OpenModel, "engine" | "key">> {
    const report = (progress: object): void => part({ phase: "download", ...progress });
    await library.download(key, report, signal);
    return { engine: await load({ pack: library.open(key) }), key };
  }
}

/** What follows no grammar: any other field may ask for one. */
const PLAIN_FIELDS: readonly string[] = [
  ...["model", "messages", "prompt", "max_tokens", "max_completion_tokens", "stop", "seed"],
  ...["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "frequency_penalty"],
  ...["presence_penalty", "logprobs", "top_logprobs"],
];

function isPlain(request: LlmRequest): boolean {
  return Object.entries(request).every(
    ([field, value]) => value === undefined || PLAIN_FIELDS.includes(field),
  );
}

function inputOf(files: readonly File[]): SourceInput {
  return { gguf: files.map((file) => fileSource(file, file.name)) };
}

function factsOf({ info, adapters }: Engine): EngineFacts {
  const { id: model, ctx, backend, backendReason, kernel, kernelReason } = info;
  const { threads, threadsReason, memory } = info;
  const { weights, kv, total } = memory;
  return {
    model,
    adapters: adapters.map(({ name }) => name),
    ...{ ctx, backend, backendReason, kernel, kernelReason, threads, threadsReason },
    memory: { weights, kv, total },
    place: "this tab",
  };
}
