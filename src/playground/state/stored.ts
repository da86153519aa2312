/** A signal whose value outlives the page, in this browser's own storage. */
import { effect, type Signal, signal } from "@preact/signals";

export interface StoredOptions<Value> {
  /** `local` outlives the tab, `session` does not. Default `local`. */
  readonly area?: "local" | "session";
  /** What was stored may be of another version, or somebody's: undefined refuses it. */
  readonly parse: (stored: unknown) => Value | undefined;
  /** What is kept of it. Default: all. */
  readonly keep?: (value: Value) => unknown;
  /** Milliseconds that changes are collected for. Default 0. */
  readonly delayMs?: number;
}

/** All of this page's are of one name, so that they are found and removed together. */
const PREFIX = "pronk.playground.";

/** Where storage is full or forbidden the value lives as long as the page. */
export function storedSignal<Value>(
  name: string,
  initial: Value,
  { area = "local", parse, keep = (value) => value, delayMs = 0 }: StoredOptions<Value>,
): Signal<Value> {
  const storage = storageOf(area);
  const value = signal(read(storage, name, parse) ?? initial);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    try {
      storage?.setItem(PREFIX + name, JSON.stringify(keep(value.peek())));
    } catch {
      // Full, or forbidden: the page goes on without.
    }
  };
  let isFirst = true;
  effect(() => {
    void value.value;
    if (!isFirst) timer ??= setTimeout(write, delayMs);
    isFirst = false;
  });
  addEventListener("pagehide", () => {
    if (timer !== undefined) write();
  });
  return value;
}

function storageOf(area: "local" | "session"): Storage | undefined {
  try {
    return area === "local" ? localStorage : sessionStorage;
  } catch {
    return undefined; // forbidden, as in some private windows
  }
}

function read<Value>(
  storage: Storage | undefined,
  name: string,
  parse: (stored: unknown) => Value | undefined,
): Value | undefined {
  try {
    const text = storage?.getItem(PREFIX + name);
    return text == null ? undefined : parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
