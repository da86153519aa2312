/**
 * Normalizers of tokenizer.json, with the place that each unit has in the text it came from.
 *
 * Source: tokenizers/src/normalizers of huggingface/tokenizers. Where one character becomes several
 * or several one (Unicode's forms), all of them have the place of the whole.
 */
import { PronkError } from "../../errors.ts";
import { grownChars, grownTooMuch, isReplacement } from "./growth.ts";
import { isRecord } from "./post-processor.ts";

export type NormalizerStep =
  | { readonly type: "prepend"; readonly text: string }
  | { readonly type: "replace"; readonly from: string; readonly to: string }
  | { readonly type: "form"; readonly form: "NFC" | "NFD" | "NFKC" | "NFKD" }
  | { readonly type: "lowercase" }
  | { readonly type: "strip"; readonly left: boolean; readonly right: boolean };

/** A text with the place of each of its UTF-16 units in another one. */
export interface NormalizedText {
  readonly text: string;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** Sequences in files are nested once. */
const MAX_DEPTH = 8;

/** @throws PronkError "unsupported" naming the normalizer; "bad_format". */
export function readNormalizer(value: unknown, depth = 0): NormalizerStep[] {
  if (value === null || value === undefined) return [];
  if (!isRecord(value) || depth > MAX_DEPTH) {
    throw new PronkError("bad_format", "tokenizer.json: normalizer");
  }
  const { type } = value;
  switch (type) {
    case "Sequence":
      if (!Array.isArray(value.normalizers)) break;
      return value.normalizers.flatMap((step) => readNormalizer(step, depth + 1));
    case "Prepend":
      if (typeof value.prepend !== "string" || !isReplacement(value.prepend)) break;
      return [{ type: "prepend", text: value.prepend }];
    case "Replace": {
      const from = isRecord(value.pattern) ? value.pattern.String : undefined;
      if (typeof from !== "string" || from === "" || typeof value.content !== "string") break;
      if (!isReplacement(value.content)) break;
      return [{ type: "replace", from, to: value.content }];
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return [{ type: "form", form: type }];
    case "Lowercase":
      return [{ type: "lowercase" }];
    case "Strip":
      return [
        {
          type: "strip",
          left: value.strip_left !== false,
          right: value.strip_right !== false,
        },
      ];
  }
  const supported = "Prepend, Replace of strings, NFC, NFD, NFKC, NFKD, Lowercase, Strip, Sequence";
  throw new PronkError(
    "unsupported",
    `tokenizer.json: normalizer ${String(type)}; supported: ${supported}`,
  );
}

/** Part of a text: all of it goes to `text`. */
interface Part {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** text[start, end) through the steps. */
export function normalize(
  text: string,
  start: number,
  end: number,
  steps: readonly NormalizerStep[],
): NormalizedText {
  const starts = new Uint32Array(end - start);
  const ends = new Uint32Array(end - start);
  for (let i = 0; i < starts.length; i++) {
    starts[i] = start + i;
    ends[i] = start + i + 1;
  }
  let current: NormalizedText = { text: text.slice(start, end), starts, ends };
  const limit = grownChars(end - start);
  for (const step of steps) current = rebuild(current, partsOf(current.text, step), limit);
  return current;
}

/** The texts alone, as added tokens are normalized. */
export function normalizeText(text: string, steps: readonly NormalizerStep[]): string {
  return normalize(text, 0, text.length, steps).text;
}

/** With `text` in front, at the place of the first character. */
export function withPrefix(normalized: NormalizedText, text: string): NormalizedText {
  if (normalized.text === "") return normalized;
  const { starts, ends } = normalized;
  const shift = text.length;
  const last = normalized.text.codePointAt(0)! > 0xffff ? 1 : 0;
  const shifted = {
    text: text + normalized.text,
    starts: new Uint32Array(starts.length + shift).fill(starts[0]!, 0, shift),
    ends: new Uint32Array(ends.length + shift).fill(ends[last]!, 0, shift),
  };
  shifted.starts.set(starts, shift);
  shifted.ends.set(ends, shift);
  return shifted;
}

function rebuild(
  { text, starts, ends }: NormalizedText,
  parts: Iterable<Part>,
  limit: number,
): NormalizedText {
  let joined = "";
  const newStarts: number[] = [];
  const newEnds: number[] = [];
  for (const part of parts) {
    joined += part.text;
    if (joined.length > limit) throw grownTooMuch("normalizer");
    const same = part.text.length === part.end - part.start;
    for (let i = 0; i < part.text.length; i++) {
      const from = same ? part.start + i : part.start;
      const last = same ? from : Math.max(part.start, part.end - 1);
      newStarts.push(starts[from] ?? ends[text.length - 1] ?? 0);
      newEnds.push(ends[last] ?? ends[text.length - 1] ?? 0);
    }
  }
  return { text: joined, starts: new Uint32Array(newStarts), ends: new Uint32Array(newEnds) };
}

function* partsOf(text: string, step: NormalizerStep): Generator<Part> {
  const whole = { start: 0, end: text.length };
  switch (step.type) {
    case "prepend": {
      if (text === "") return;
      yield { start: 0, end: text.codePointAt(0)! > 0xffff ? 2 : 1, text: step.text };
      yield { ...whole, text };
      return;
    }
    case "replace": {
      let at = 0;
      for (let i = text.indexOf(step.from); i >= 0; i = text.indexOf(step.from, at)) {
        yield { start: at, end: i, text: text.slice(at, i) };
        at = i + step.from.length;
        yield { start: i, end: at, text: step.to };
      }
      yield { start: at, end: text.length, text: text.slice(at) };
      return;
    }
    case "strip": {
      const left = step.left ? text.length - text.trimStart().length : 0;
      const right = step.right ? Math.max(left, text.trimEnd().length) : text.length;
      yield { start: left, end: right, text: text.slice(left, right) };
      return;
    }
    case "lowercase":
      yield* characters(text, (character) => character.toLowerCase());
      return;
    case "form": {
      // A character with what combines with it is normalized as one.
      for (const match of text.matchAll(CLUSTERS)) {
        const { index } = match;
        const [cluster] = match;
        yield { start: index, end: index + cluster.length, text: cluster.normalize(step.form) };
      }
    }
  }
}

/** A character and its marks; Hangul that composes. */
const CLUSTERS = /[\u1100-\u115f\uac00-\ud7a3][\u1160-\u11ff]*\p{M}*|[\s\S]\p{M}*/gu;

function* characters(text: string, change: (character: string) => string): Generator<Part> {
  let at = 0;
  for (const character of text) {
    yield { start: at, end: at + character.length, text: change(character) };
    at += character.length;
  }
}
