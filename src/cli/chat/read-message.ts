/** One message of a chat: a line, lines that end in a backslash with the one behind them, or what stands between """. */
import type { LineInput } from "../command.ts";

const FENCE = '"""';

/** Behind it a line goes on. */
const MORE = "... ";

/** @returns undefined at the end of the input, null where Ctrl+C on an empty line took the message back. */
export async function readMessage(
  lines: LineInput,
  prompt: string,
): Promise<string | null | undefined> {
  const first = await lines.next(prompt);
  if (typeof first !== "string") return first;
  const isFenced = first.trimStart().startsWith(FENCE);
  const parts = [isFenced ? first.trimStart().slice(FENCE.length) : first];
  const typed = [first];
  const more = lines.isTerminal ? MORE : "";
  while (!isWhole(parts, isFenced)) {
    const next = await lines.next(more);
    if (next === null) return null;
    if (next === undefined) break; // what there is counts
    parts.push(next);
    typed.push(next);
  }
  const text = isFenced
    ? fencedText(parts)
    : parts.map((line) => line.replace(/\\$/, "")).join("\n");
  if (typed.length > 1) lines.remember(typed, text);
  return text;
}

function isWhole(parts: readonly string[], isFenced: boolean): boolean {
  const last = parts[parts.length - 1];
  return isFenced ? last.trimEnd().endsWith(FENCE) : !last.endsWith("\\");
}

/** The marks may stand on lines of their own. */
function fencedText(parts: readonly string[]): string {
  const text = parts.join("\n").trimEnd();
  const inner = text.endsWith(FENCE) ? text.slice(0, -FENCE.length) : text;
  return inner.replace(/^\n|\n$/g, "");
}
