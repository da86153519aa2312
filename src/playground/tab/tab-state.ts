/** What the page knows of the models of this browser, of the one that runs, and of the one that is being opened. */
import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { PronkError } from "../../errors.ts";
import type { PlaygroundEngine } from "../engine.ts";
import type {
  LibraryState,
  ModelChoice,
  OpenArgument,
  OpenOptions,
  OpenPart,
} from "./tab-calls.ts";
import { openTabEngine } from "./tab-engine.ts";
import type { WorkerCalls } from "./worker-calls.ts";

/** A model that is being opened, or whose download was stopped. */
export interface Opening {
  readonly name: string;
  readonly argument: OpenArgument;
  /** The last that was heard. */
  readonly part: OpenPart | undefined;
  readonly isPaused: boolean;
}

export interface TabState {
  readonly engine: ReadonlySignal<PlaygroundEngine | undefined>;
  readonly library: ReadonlySignal<LibraryState | undefined>;
  readonly opening: ReadonlySignal<Opening | undefined>;
  readonly error: ReadonlySignal<PronkError | undefined>;
  readonly options: Signal<OpenOptions>;
  /** Whether files that are opened are kept for next time. */
  readonly keep: Signal<boolean>;
  /** The model that runs, where it is one of the library. */
  readonly key: ReadonlySignal<string | undefined>;
  /** Reads the library; opens the model that was open last, where all of it is kept. */
  start(): Promise<void>;
  open(name: string, model: ModelChoice): Promise<void>;
  /** A GGUF, or all parts of one. */
  openFiles(files: Iterable<File>): void;
  /** Stops the download; what is there stays. */
  pause(): void;
  resume(): Promise<void>;
  /** Stops, and does not offer to go on. */
  cancel(): void;
  remove(key: string): Promise<void>;
  /** Whether the page can be loaded anew and nothing is lost: a model that is being opened is opened by the next page. */
  prepareReload(): boolean;
}

export interface TabStateOptions {
  /** Settles when the page will not load itself anew any more; what is opened before waits for it, but not for long. */
  readonly settled?: Promise<unknown>;
}

/** Where the key of the last model is kept. */
const LAST = "pronk-model";

/** Where the key of a model is kept that the next page is to open. */
const NEXT = "pronk-next-model";

/** A page whose service worker is not there by then does without. */
const SETTLED_MS = 5_000;

export function createTabState(
  calls: WorkerCalls,
  { settled = Promise.resolve() }: TabStateOptions = {},
): TabState {
  const engine = signal<PlaygroundEngine | undefined>(undefined);
  const library = signal<LibraryState | undefined>(undefined);
  const opening = signal<Opening | undefined>(undefined);
  const error = signal<PronkError | undefined>(undefined);
  const options = signal<OpenOptions>({});
  const keep = signal(true);
  const key = signal<string | undefined>(undefined);
  let abort: AbortController | undefined;

  const refresh = async (): Promise<void> => {
    library.value = await calls.call<LibraryState>("library");
  };
  const fail = (cause: unknown): void => {
    error.value =
      cause instanceof PronkError ? cause : new PronkError("engine_failed", String(cause));
  };
  /** Says of which model it is, where the error does not. */
  const failOf = (name: string, cause: unknown): void => {
    fail(cause);
    const { code, message } = error.value ?? { code: "engine_failed", message: "" };
    if (!message.includes(name))
      error.value = new PronkError(code, `${name}: ${message}`, { cause });
  };
  const run = async (name: string, argument: OpenArgument): Promise<void> => {
    abort?.abort();
    const own = new AbortController();
    abort = own;
    error.value = undefined;
    opening.value = { name, argument, part: undefined, isPaused: false };
    const isMine = (): boolean => abort === own;
    const onPart = (part: OpenPart): void => {
      const now = opening.value;
      if (isMine() && now !== undefined) opening.value = { ...now, part };
    };
    // Asked of a person's action: browsers say yes to those that are used.
    void navigator.storage?.persist?.().catch(() => false);
    const { model } = argument;
    // Asked for while the page is about to be loaded anew, it is opened by the next one.
    if ("key" in model) sessionStorage.setItem(NEXT, model.key);
    try {
      await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, SETTLED_MS))]);
      sessionStorage.removeItem(NEXT);
      const opened = await openTabEngine(calls, argument, onPart, own.signal);
      if (!isMine()) return;
      engine.value = opened;
      opening.value = undefined;
    } catch (cause) {
      if (!isMine()) return;
      const isStopped = cause instanceof PronkError && cause.code === "aborted";
      const now = opening.value;
      opening.value = isStopped && now !== undefined ? { ...now, isPaused: true } : undefined;
      if (!isStopped) failOf(name, cause);
      // A model that was refused leaves the last one; one that failed while it was loaded does not.
      const stillRuns = await calls.call<boolean>("isOpen").catch(() => false);
      if (!stillRuns) {
        engine.value = undefined;
        key.value = undefined;
      }
    }
    await refresh().catch(fail);
    // Files that were kept have their key from now on.
    if (!isMine() || engine.value === undefined) return;
    key.value = library.value?.openKey;
    if (key.value !== undefined) localStorage.setItem(LAST, key.value);
  };
  return {
    engine,
    library,
    opening,
    error,
    options,
    keep,
    key,
    async start() {
      await refresh().catch(fail);
      const next = sessionStorage.getItem(NEXT);
      sessionStorage.removeItem(NEXT);
      const last = next ?? localStorage.getItem(LAST);
      const known = library.value?.models.find((model) => model.key === last);
      if (known === undefined || (next === null && known.storedBytes < known.bytes)) return;
      await run(known.id, { model: { key: known.key }, options: options.value });
    },
    open: (name, model) => run(name, { model, options: options.value }),
    openFiles(given) {
      const files = [...given].sort((a, b) => (a.name < b.name ? -1 : 1));
      const [first] = files;
      if (first === undefined) return;
      const isKept = keep.value && library.value?.keepsNothing === undefined;
      const argument = { model: { files, keep: isKept }, options: options.value };
      void run(first.name, argument);
    },
    pause: () => abort?.abort(),
    async resume() {
      const stopped = opening.value;
      if (stopped !== undefined) await run(stopped.name, stopped.argument);
    },
    cancel() {
      const last = abort;
      abort = undefined;
      last?.abort();
      opening.value = undefined;
      void refresh().catch(fail);
    },
    prepareReload() {
      const model = opening.value?.argument.model;
      if (engine.value !== undefined || (model !== undefined && !("key" in model))) return false;
      if (model !== undefined && opening.value?.isPaused === false) {
        sessionStorage.setItem(NEXT, model.key);
      }
      return true;
    },
    async remove(removed) {
      await calls.call("remove", { key: removed }).catch(fail);
      await refresh().catch(fail);
    },
  };
}
