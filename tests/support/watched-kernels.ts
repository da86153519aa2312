/**
 * Kernels whose every call is checked before it runs: each pointer with the bytes that the call may touch there
 * (kernel-footprints.ts) has to lie inside one region of the memory's plan. Put in by mocking instantiateKernels().
 */
import type { Kernels } from "../../src/backends/wasm/kernels.gen.ts";
import type { MemoryLayout } from "../../src/backends/wasm/memory-layout.ts";
import type { MatrixForm } from "../../src/pack/forms.ts";
import { embeddedBytes, kernelFootprint } from "./kernel-footprints.ts";

/** [start, end) of a region, and its name for messages. */
export interface Region {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Every region that planMemory() gave out, in the order of their addresses; each ends where the next begins. */
export function regionsOf(layout: MemoryLayout): Region[] {
  const starts: [string, number][] = [
    ["weights", layout.weights],
    ["inverseFrequencies", layout.inverseFrequencies],
    ["cos", layout.cos],
    ["sin", layout.sin],
    ["ids", layout.ids],
    ["activations", layout.activations],
    ["visible", layout.visible],
    ["probabilities", layout.probabilities],
    ["row", layout.row],
    ["panel", layout.panel],
    ["attention", layout.attention],
    ["control", layout.control],
    ...Object.entries(layout.buffers),
    ...layout.cache.flatMap((slot, s) =>
      slot.flatMap((layer, l) =>
        Object.entries(layer).map(([part, at]): [string, number] => [`${part} ${s} ${l}`, at]),
      ),
    ),
  ];
  const sorted = starts.sort(([, a], [, b]) => a - b);
  return sorted.map(([name, start], i) => ({
    name,
    start,
    end: sorted.slice(i).find(([, at]) => at > start)?.[1] ?? layout.use.total,
  }));
}

export interface WatchedCalls {
  /** Kernels that were called, and how often. */
  readonly calls: Map<string, number>;
  readonly problems: string[];
  /** Set once the memory is planned; calls before that are problems. */
  regions: readonly Region[];
}

export function watchKernels(
  kernels: Kernels,
  memory: WebAssembly.Memory,
  watched: WatchedCalls,
): Kernels {
  const watch = (name: string, call: (...values: number[]) => number | undefined) => {
    return (...values: number[]): number | undefined => {
      watched.calls.set(name, (watched.calls.get(name) ?? 0) + 1);
      for (const [argument, bytes] of footprintOf(name, values, memory)) {
        checkPlace(name, argument, values, bytes, watched);
      }
      return call(...values);
    };
  };
  const entries = Object.entries(kernels as unknown as Record<string, unknown>);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      typeof value === "function" ? watch(name, value as never) : value,
    ]),
  ) as unknown as Kernels;
}

function footprintOf(
  name: string,
  values: readonly number[],
  memory: WebAssembly.Memory,
): [number, number][] {
  return kernelFootprint(name, values).map(([argument, bytes]) => {
    if (bytes !== undefined) return [argument, bytes];
    const [, , ids, tokens, cols] = values;
    const largest = Math.max(...new Int32Array(memory.buffer, ids, tokens));
    return [argument, embeddedBytes(name.replace("embed_", "") as MatrixForm, largest, cols)];
  });
}

function checkPlace(
  name: string,
  argument: number,
  values: readonly number[],
  bytes: number,
  { regions, problems }: WatchedCalls,
): void {
  const at = values[argument];
  // rope_table counts from position 0, which may lie in front of the batch's rows: only its last rows are written.
  const start = name === "rope_table" && argument < 2 ? at + 4 * values[3] * values[4] : at;
  const end = at + bytes;
  const region = regions.find((one) => start >= one.start && start < one.end);
  if (bytes === 0 || (region && end <= region.end)) return;
  const where = region ? `${region.name} [${region.start}, ${region.end})` : "no region";
  problems.push(
    `${name}(${values.join(", ")}): argument ${argument}: [${start}, ${end}) in ${where}`,
  );
}
