/** How many threads a model gets on this host, and the module that they share. */
import type { SelectedKernel } from "../backends/wasm/kernel-variants.ts";
import { shareModule } from "../backends/wasm/threads/share-module.ts";
import type { ThreadHost } from "../backends/wasm/threads/thread-host.ts";
import type { RunnerThreads } from "../backends/wasm/wasm-runner.ts";
import { PronkError } from "../errors.ts";
import type { Runtime } from "./runtime.ts";

/** Beyond these memory bounds decoding, and each batch waits for the slowest. */
const MOST_BY_ITSELF = 8;

/** Every thread has a stack and scratch, and each barrier gets dearer with each. */
const MAX_THREADS = 64;

/** The threads that a model is planned for; `reason` says why they are fewer than asked for. */
export interface ThreadCount {
  readonly count: number;
  readonly reason?: string;
}

/** @throws PronkError "bad_request" unless it is a number from 1 to 64. */
export function checkThreads(count: number): number {
  if (Number.isInteger(count) && count >= 1 && count <= MAX_THREADS) return count;
  throw new PronkError(
    "bad_request",
    `threads ${count}: auto or an integer from 1 to ${MAX_THREADS}`,
    { param: "threads" },
  );
}

/**
 * "auto" is one for each core, up to 8.
 *
 * @throws PronkError "bad_request" unless it is a number from 1 to 64.
 */
export function countThreads(
  asked: number | "auto" = 1,
  threads: Pick<ThreadHost, "cores"> | string = "this runtime has no threads",
): ThreadCount {
  if (asked !== "auto" && checkThreads(asked) === 1) return { count: 1 };
  if (typeof threads === "string") return { count: 1, reason: threads };
  return { count: asked === "auto" ? Math.max(1, Math.min(threads.cores, MOST_BY_ITSELF)) : asked };
}

/**
 * What the threads of a runner need.
 *
 * @throws PronkError "unsupported", "source_failed", "not_found": the module cannot be had or made.
 */
export async function prepareThreads(
  { threads, now }: Runtime,
  kernel: SelectedKernel,
  fixed: boolean | undefined,
): Promise<RunnerThreads | undefined> {
  if (typeof threads !== "object") return undefined;
  const bytes = await threads.readKernels(kernel.variant === "simd" ? "plain" : "relaxed");
  const module = await WebAssembly.compile(shareModule(bytes));
  return { host: threads, module, now, fixed };
}
