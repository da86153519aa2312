/** A plan as one of several threads runs it: its part of every step, and barriers between them. */
import type { Span } from "../../backend.ts";
import { goesRowByRow } from "../few-rows.ts";
import { type Call, type LoweringInput, lower, type Program } from "../lower.ts";
import type { MemoryLayout } from "../memory-layout.ts";
import { type Part, shareOfRows } from "./part.ts";

export interface ThreadProgram {
  readonly steps: Program;
  readonly head: Program;
}

/** `barrier` waits for all of the part's `count` threads. */
export function lowerPart(input: LoweringInput, part: Part, barrier: () => void): ThreadProgram {
  const layout = layoutOf(input.layout, part.index);
  const own = { ...input, layout };
  const { plan } = input;
  return {
    steps: lower(plan.steps, own, part, barrier),
    head: lower(plan.head, own, part, barrier),
  };
}

/** The layout with a thread's own scratch; the first thread's is the layout's. */
function layoutOf(layout: MemoryLayout, index: number): MemoryLayout {
  if (index === 0) return layout;
  const { rowActivations, row, panel, attention } = layout.threads[index - 1];
  return { ...layout, rowActivations, row, panel, attention };
}

/** Runs this thread's part of a program. */
export function runPart(
  { one, few, many, variant }: Program,
  rows: number,
  spans: readonly Span[],
  part: Part,
): void {
  const { from, to } = rows === 1 ? { from: 0, to: 1 } : shareOfRows(rows, part);
  const calls = rows === 1 ? one : goesRowByRow(rows, variant) ? few : many;
  runCalls(calls, rows, spans, from, to - from);
}

function runCalls(
  calls: readonly Call[],
  rows: number,
  spans: readonly Span[],
  from: number,
  count: number,
): void {
  for (const call of calls) call(rows, spans, from, count);
}
