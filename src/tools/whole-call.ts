/** A call that is there as a whole, in any spelling of JSON that models use. */
import type { ToolCall } from "./tool.ts";

/** @returns undefined for what is no call of one of these functions. */
export function readWholeCall(text: string, names: ReadonlySet<string>): ToolCall | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { name, arguments: given = value.parameters ?? {} } = value;
  if (typeof name !== "string" || !names.has(name)) return undefined;
  if (isRecord(given)) return { name, arguments: JSON.stringify(given) };
  if (typeof given !== "string") return undefined;
  try {
    return isRecord(JSON.parse(given)) ? { name, arguments: given } : undefined;
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
