/** Inputs that are one value of JSON: targets whose subject is a request, a schema or a text take their parts from it. */

import { readJson } from "./json-layout.ts";
import { Layout, layoutOf } from "./layout.ts";
import type { Random } from "./random.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function jsonInput(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

export function jsonLayout(input: Uint8Array): Layout {
  return layoutOf(input, (reader) => readJson(reader));
}

/** undefined for what is no JSON, or none of an object. */
export function readJsonInput(input: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(decoder.decode(input));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Without what lies in texts: for targets whose subject is behind JSON, which edits of bytes mostly break. */
export function valuesLayout(input: Uint8Array, isFixed: (text: string) => boolean): Layout {
  const whole = jsonLayout(input);
  const values = new Layout();
  for (const field of whole.fields) {
    const { kind, start, end } = field;
    if (kind === "text" || start === 0) continue;
    if (!isFixed(decoder.decode(input.subarray(start, end)))) values.fields.push(field);
  }
  for (const section of whole.sections) {
    const { start, end } = section;
    if (!isFixed(decoder.decode(input.subarray(start, end)))) values.sections.push(section);
  }
  return values;
}

/** An edit of the parsed value; what it changes in place, or returns, is the new one. */
export function editJson<Extra extends unknown[]>(
  edit: (value: Record<string, unknown>, ...extra: Extra) => unknown,
): (input: Uint8Array, ...extra: Extra) => Uint8Array {
  return (input, ...extra) => {
    const value = readJsonInput(input);
    if (value === undefined) return input;
    try {
      return jsonInput(edit(value, ...extra) ?? value);
    } catch (error) {
      if (error instanceof RangeError) return input; // nested too deeply to be written
      throw error;
    }
  };
}

/** How often an input that broke is a seed with other edits instead. */
const MENDED = 0.9;

/** For `finish`: edits of bytes that leave no JSON, or nothing of it that is of use, stop at the door. */
export function replaceBroken(
  seeds: readonly Uint8Array[],
  isWhole: (value: Record<string, unknown>) => boolean,
  edit: (input: Uint8Array, random: Random) => Uint8Array,
): (input: Uint8Array, random: Random) => Uint8Array {
  return (input, random) => {
    const value = readJsonInput(input);
    if ((value && isWhole(value)) || !random.chance(MENDED)) return input;
    let other = random.pick(seeds);
    for (let edits = random.between(1, 8); edits > 0; edits--) other = edit(other, random);
    return other;
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
