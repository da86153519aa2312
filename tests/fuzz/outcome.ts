/** Runs a target on one input and judges what came of it. */
import { PronkError } from "../../src/errors.ts";
import type { FuzzTarget } from "./target.ts";

/** What a target's own code may take for an input, whatever its size. */
const PLAN_BYTES = 64 * 1024 * 1024;

/** So many times an input's size may be allocated beyond that. */
const PLAN_TIMES = 16;

/** Longer ones are no messages any more; those that list what is known have 500. */
const MAX_MESSAGE = 2000;

/** Control characters and those that reverse a terminal's text: a name of the file that nobody escaped. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f\u0080-\u009f\u202a-\u202e\u2066-\u2069]/;

export interface Outcome {
  /** Undefined: the input was used to its end, or refused as documented. */
  readonly fault: string | undefined;
  /** Whether it was used to its end. */
  readonly accepted: boolean;
  readonly pastHeader: boolean;
  /** What tells it from others: the error's code and message without the file's own words, and what was seen. */
  readonly features: readonly string[];
  /** Bytes of typed arrays that it asked for. */
  readonly allocated: number;
}

/** Bytes of typed arrays so far; scripts/fuzz.mjs counts them, tests do not. */
export const allocations: { bytes: number } = { bytes: 0 };

export async function runOn(target: FuzzTarget, input: Uint8Array): Promise<Outcome> {
  const features = new Set<string>();
  let pastHeader = false;
  const probe = {
    pastHeader: () => void (pastHeader = true),
    saw: (feature: string | number) => void features.add(String(feature)),
  };
  const before = allocations.bytes;
  let fault: string | undefined;
  let accepted = false;
  try {
    await target.run(input, probe);
    accepted = true;
    features.add("accepted");
  } catch (error) {
    fault = faultOf(target, error);
    features.add(shape(error));
  }
  const allocated = allocations.bytes - before;
  const plan = target.planBytes?.(input) ?? Math.max(PLAN_BYTES, PLAN_TIMES * input.length);
  if (allocated > plan) fault ??= `memory: ${allocated} bytes allocated, ${plan} planned`;
  return { fault, accepted, pastHeader, features: [...features], allocated };
}

function faultOf(target: FuzzTarget, error: unknown): string | undefined {
  const isDocumented = target.isDocumented ?? ((caught) => caught instanceof PronkError);
  if (!isDocumented(error)) return `undocumented: ${described(error)}`;
  const { message } = error as Error;
  if (message.length > MAX_MESSAGE)
    return `message of ${message.length} characters: ${described(error)}`;
  if (UNSAFE.test(message)) return `message with control characters: ${described(error)}`;
  if (!(target.message ?? /^[^:\s][^\n]*?: \S/).test(message)) {
    return `message that does not say where and what: ${described(error)}`;
  }
  return undefined;
}

function described(error: unknown): string {
  if (!(error instanceof Error)) return `${typeof error} ${String(error).slice(0, 200)}`;
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return `${error.name}: ${error.message.slice(0, 300)}${frames
    .slice(0, 3)
    .map((frame) => `\n   ${frame.trim()}`)
    .join("")}`;
}

/** An error without what changes from file to file. */
export function shape(error: unknown): string {
  const { name, message, code } = error as Partial<PronkError>;
  return `${code ?? name} ${stripped(message ?? "")}`;
}

/** Numbers, names and excerpts of the input are left out. */
export function stripped(message: string): string {
  return message
    .replace(/0x[0-9a-f]+|[0-9a-f]{16,}/g, "#")
    .replace(/"[^"]*"?/g, "Q")
    .replace(/-?\d[\d.e+-]*/g, "#")
    .replace(/\b(tensor|key|member|name|token) \S+/g, "$1 N")
    .replace(/[^ -~]+/g, "?")
    .slice(0, 120);
}

/** Findings of the same kind at the same place are one. */
export function kindOf(fault: string): string {
  const place = /\n {3}at (?:async )?([\w.#$<> ]+)/.exec(fault)?.[1] ?? "";
  const what = /^(?:message with control characters|message)/.exec(fault)?.[0];
  return `${what ?? stripped(fault.split("\n")[0]!)} ${place}`;
}
