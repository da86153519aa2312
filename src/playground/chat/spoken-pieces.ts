/** An answer cut into pieces that are said one after the other, while it still grows. */
import type { Message } from "../state/conversation.ts";

/** Shorter pieces interrupt each other. */
const MIN_CHARS = 60;

/** What has not been said and may be; undefined: not yet. */
export function nextPiece({ text, state }: Message, chars: number): string | undefined {
  if (chars === Number.POSITIVE_INFINITY) return undefined;
  const rest = text.slice(chars);
  if (state !== "running") return rest;
  const ends = [...rest.matchAll(/[.!?:]\s|\n/g)].at(-1);
  if (ends === undefined || ends.index + 1 < MIN_CHARS) return undefined;
  return rest.slice(0, ends.index + ends[0].length);
}

/** Without the signs of Markdown, which would be read one by one. */
export function plain(text: string): string {
  return text.replace(/[*_`#>|~]+/g, "");
}

export function endOf({ state, error }: Message): string {
  if (state === "stopped") return " Stopped.";
  if (state === "failed") return ` No answer: ${error?.message ?? ""}`;
  return state === "done" ? " End of the answer." : "";
}
