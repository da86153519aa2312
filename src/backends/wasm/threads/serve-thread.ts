/**
 * What a thread beside the caller's does: it has the model's memory and kernels, waits for a batch,
 * computes its part, waits again. It leaves its event loop for good: all that it hears comes through
 * the shared memory.
 */
import type { Plan } from "../../../model/plan.ts";
import type { PackedTensor } from "../../../pack/manifest.ts";
import type { RunnerOptions } from "../../runner-options.ts";
import type { KernelVariant } from "../activation-layout.ts";
import { instantiateKernels } from "../kernel-loader.ts";
import type { Kernels } from "../kernels.gen.ts";
import type { LoweringInput } from "../lower.ts";
import { type MemoryLayout, RESERVED_BYTES } from "../memory-layout.ts";
import { Control, maySleep, mostSpans, ThreadState } from "./control.ts";
import { STACK_POINTER } from "./share-module.ts";
import { lowerPart, runPart, type ThreadProgram } from "./thread-program.ts";

/** The first message to a thread. */
export interface ThreadStart {
  readonly index: number;
  readonly threads: number;
  readonly timeoutMs: number;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly variant: KernelVariant;
  readonly plan: Plan;
  readonly tensors: readonly PackedTensor[];
  readonly layout: MemoryLayout;
  readonly options: RunnerOptions;
}

/** A thread's answers: when it listens, and when it ends. */
export type ThreadAnswer = { readonly ready: true } | { readonly ended: string };

/** Blocks until the threads are stopped or one of them fails; never throws. */
export function serveThread(
  start: ThreadStart,
  now: () => number,
  answer: (answer: ThreadAnswer) => void,
): void {
  let control: Control | undefined;
  try {
    const { index, threads, timeoutMs, memory, layout, options } = start;
    const waiting = { now, maySleep: maySleep(), timeoutMs };
    control = new Control(memory, layout.control, threads, mostSpans(options), waiting);
    const programs = createPrograms(start, control);
    answer({ ready: true });
    for (let seen = 0; ; seen = (seen + 1) | 0) {
      const command = control.next(index, seen);
      if (command === undefined) break;
      const { count, rows, logits, spans } = command;
      const { steps, head } = programs(count);
      const part = { index, count };
      runPart(steps, rows, spans, part);
      if (logits > 0) {
        control.barrier(count);
        // The caller gathers the rows whose logits are wanted, and says which they are.
        control.barrier(count);
        runPart(head, logits, control.spans, part);
      }
      control.arrive(count);
    }
    answer({ ended: control.state === ThreadState.failed ? control.failure : "stopped" });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    control?.fail(`thread ${start.index}: ${why}`);
    answer({ ended: why });
  }
}

/** The kernels of one thread, on its own stack. `stack` is where it begins; it grows down. */
export function instantiateThread(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  stack: number,
): Kernels {
  const kernels = instantiateKernels(module, memory, RESERVED_BYTES);
  const exports = kernels as unknown as Record<string, WebAssembly.Global>;
  exports[STACK_POINTER].value = stack;
  return kernels;
}

function createPrograms(start: ThreadStart, control: Control): (count: number) => ThreadProgram {
  const { index, module, memory, layout, plan, variant, options } = start;
  const input: LoweringInput = {
    plan,
    tensors: new Map(start.tensors.map((tensor) => [tensor.name, tensor])),
    layout,
    kernels: instantiateThread(module, memory, layout.threads[index - 1].stack),
    variant,
    options,
    memory,
  };
  const programs = new Map<number, ThreadProgram>();
  return (count) => {
    let program = programs.get(count);
    if (!program) {
      program = lowerPart(input, { index, count }, () => control.barrier(count));
      programs.set(count, program);
    }
    return program;
  };
}
