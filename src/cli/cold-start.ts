/** Where the time goes from the start of a process to its first token. */
import type { LoadTimings } from "../engine/load-timings.ts";

/** Milliseconds, one phase behind the other: `first_token_ms` is their sum. */
export interface ColdStart extends Omit<LoadTimings, "total_ms"> {
  /** The runtime itself, and the command's modules. */
  readonly start_ms: number;
  /** Arguments, the kernels' modules compiled, the model found, and fetched and packed if need be. */
  readonly prepare_ms: number;
  /** The chat template rendered, the prompt encoded. */
  readonly encode_ms: number;
  readonly prompt_ms: number;
  readonly first_token_ms: number;
}

/** When phases began, in milliseconds since the process did. */
export interface ColdMarks {
  /** The command's own code. */
  readonly command: number;
  /** The model is loaded. */
  readonly loaded: number;
  /** The engine has the prompt. */
  readonly prompted: number;
  readonly firstToken: number;
}

/** @param loading as the model's info has it */
export function coldStartOf(marks: ColdMarks, loading: LoadTimings): ColdStart {
  const { total_ms, ...phases } = loading;
  return {
    start_ms: marks.command,
    prepare_ms: marks.loaded - marks.command - total_ms,
    ...phases,
    encode_ms: marks.prompted - marks.loaded,
    prompt_ms: marks.firstToken - marks.prompted,
    first_token_ms: marks.firstToken,
  };
}

/** One line a phase. */
export function coldStartText(coldStart: ColdStart): string {
  const lines = Object.entries(coldStart).map(([phase, ms]: [string, number]) => {
    const name = phase.replace(/_ms$/, "").replaceAll("_", " ");
    return `${name.padEnd(12)} ${ms.toFixed(1).padStart(8)} ms\n`;
  });
  return lines.join("");
}
