/** What an entry injects: the core never asks which runtime it is in. */
import type { KernelModules } from "../backends/wasm/kernel-variants.ts";
import type { MemoryPool } from "../backends/wasm/memory-pool.ts";
import type { ThreadHost } from "../backends/wasm/threads/thread-host.ts";
import type { Digest } from "../pack/digest.ts";

/**
 * A host of GPUs, and the code for them: who has none does not bundle it. Entries give a GpuPlatform; a program that has no
 * types of WebGPU is to compile all the same, so this says no more of it.
 */
export interface GpuAccess {
  open(): Promise<object | string>;
  backend(): Promise<object>;
}

export interface Runtime {
  /** Compiled by the entry; `relaxed` where the engine has relaxed SIMD. */
  readonly kernels: KernelModules;
  /** Where memory is used again that failed loads and disposed runners leave. Default: each load allocates its own. */
  readonly memories?: MemoryPool;
  /** Where there are threads, or why there are none. */
  readonly threads?: ThreadHost | string;
  /** Where there may be a GPU, or why there is none. */
  readonly gpu?: GpuAccess | string;
  /** A macrotask: lets timers, sockets and other requests run. */
  yieldTask(): Promise<void>;
  /** SHA-256 of weights as they arrive. Default: WebCrypto, which copies what it hashes. */
  readonly digest?: Digest;
  /** Monotonic milliseconds; may stand still during CPU work (Workers). */
  now(): number;
  /** Milliseconds since 1970. */
  wallClock(): number;
  /** Bytes that the machine, or the part of it that the process may have, has left. Default: not known. */
  freeBytes?(): number;
  /** A fresh unsigned 32-bit integer from the platform's random source. */
  randomSeed(): number;
}
