/**
 * Decoders of tokenizer.json: the spellings of tokens to text.
 *
 * Source: tokenizers/src/decoders of huggingface/tokenizers.
 */
import { PronkError } from "../../errors.ts";
import { unspell } from "../byte-level.ts";
import { grownChars, grownTooMuch, isReplacement } from "./growth.ts";
import { isRecord } from "./post-processor.ts";

export type DecoderStep =
  | { readonly type: "byte-level" }
  | { readonly type: "byte-fallback" }
  | { readonly type: "fuse" }
  | { readonly type: "replace"; readonly from: string; readonly to: string }
  | { readonly type: "strip"; readonly text: string; readonly start: number; readonly stop: number }
  | { readonly type: "metaspace"; readonly mark: string; readonly prepended: boolean };

const MAX_DEPTH = 8;

/** More is never stripped in practice. */
const MAX_STRIPPED = 64;

/** The decoder of Llama 2's tokenizers, which take back the space that they put in front. */
export function llamaDecoder(stripsSpace: boolean): DecoderStep[] {
  return [
    { type: "replace", from: "\u2581", to: " " },
    { type: "byte-fallback" },
    { type: "fuse" },
    ...(stripsSpace ? ([{ type: "strip", text: " ", start: 1, stop: 0 }] as const) : []),
  ];
}

/** Undefined for none: then tokens are joined with spaces. @throws PronkError "unsupported". */
export function readDecoder(value: unknown, depth = 0): DecoderStep[] | undefined {
  if (value === null || value === undefined) return undefined;
  if (!isRecord(value) || depth > MAX_DEPTH) {
    throw new PronkError("bad_format", "tokenizer.json: decoder");
  }
  switch (value.type) {
    case "Sequence":
      if (!Array.isArray(value.decoders)) break;
      return value.decoders.flatMap((step) => readDecoder(step, depth + 1) ?? []);
    case "ByteLevel":
      return [{ type: "byte-level" }];
    case "ByteFallback":
      return [{ type: "byte-fallback" }];
    case "Fuse":
      return [{ type: "fuse" }];
    case "Replace": {
      const from = isRecord(value.pattern) ? value.pattern.String : undefined;
      if (typeof from !== "string" || from === "" || typeof value.content !== "string") break;
      if (!isReplacement(value.content)) break;
      return [{ type: "replace", from, to: value.content }];
    }
    case "Strip": {
      const { content, start, stop } = value;
      const valid = (n: unknown): n is number =>
        typeof n === "number" && Number.isInteger(n) && n >= 0 && n <= MAX_STRIPPED;
      if (typeof content !== "string" || content === "" || !valid(start) || !valid(stop)) break;
      return [{ type: "strip", text: content, start, stop }];
    }
    case "Metaspace": {
      const mark = value.replacement ?? "\u2581";
      if (typeof mark !== "string") break;
      const prepended =
        value.prepend_scheme === undefined
          ? value.add_prefix_space !== false
          : value.prepend_scheme !== "never";
      return [{ type: "metaspace", mark, prepended }];
    }
  }
  const supported = "ByteLevel, ByteFallback, Fuse, Replace of strings, Strip, Metaspace, Sequence";
  throw new PronkError(
    "unsupported",
    `tokenizer.json: decoder ${String(value.type)}; supported: ${supported}`,
  );
}

/** The text of these spellings. */
export function decodeTokens(
  tokens: readonly string[],
  steps: readonly DecoderStep[] | undefined,
): string {
  if (steps === undefined) return tokens.join(" ");
  let chars = 0;
  for (const token of tokens) chars += token.length;
  const limit = grownChars(chars);
  return steps.reduce((parts, step) => applyStep(parts, step, limit), tokens).join("");
}

function applyStep(tokens: readonly string[], step: DecoderStep, limit: number): readonly string[] {
  switch (step.type) {
    case "byte-level":
      return [decodeByteLevel(tokens)];
    case "byte-fallback":
      return decodeBytes(tokens);
    case "fuse":
      return [tokens.join("")];
    case "replace":
      return replaceIn(tokens, step.from, step.to, limit);
    case "strip":
      return tokens.map((token) => {
        let from = 0;
        while (from < step.start && token.startsWith(step.text, from)) from++;
        let to = token.length;
        while (to - 1 >= from && token.length - to < step.stop && token[to - 1] === step.text) to--;
        return token.slice(from, to);
      });
    case "metaspace":
      return tokens.map((token, i) =>
        i === 0 && step.prepended
          ? token.replace(step.mark, "").replaceAll(step.mark, " ")
          : token.replaceAll(step.mark, " "),
      );
  }
}

function replaceIn(tokens: readonly string[], from: string, to: string, limit: number): string[] {
  let chars = 0;
  return tokens.map((token) => {
    const replaced = token.replaceAll(from, to);
    chars += replaced.length;
    if (chars > limit) throw grownTooMuch("decoder");
    return replaced;
  });
}

const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

function decodeByteLevel(tokens: readonly string[]): string {
  const parts = tokens.map(spelledBytes);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return lossy.decode(bytes);
}

/** The bytes that a byte-level token spells; one whose characters do not all spell bytes is text. */
export function spelledBytes(token: string): Uint8Array {
  const text = new TextEncoder().encode(token);
  const bytes = new Uint8Array(text.length);
  const length = unspell(text, 0, text.length, bytes, 0);
  return length < 0 ? text : bytes.subarray(0, length);
}

/** Runs of <0x0A>: their text when they are UTF-8, else U+FFFD for each. */
function decodeBytes(tokens: readonly string[]): string[] {
  const out: string[] = [];
  let run: number[] = [];
  const flush = (): void => {
    if (run.length === 0) return;
    try {
      out.push(strict.decode(Uint8Array.from(run)));
    } catch {
      out.push(...run.map(() => "\uFFFD"));
    }
    run = [];
  };
  for (const token of tokens) {
    const byte = token.length === 6 ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token) : null;
    if (byte !== null) run.push(Number.parseInt(byte[1]!, 16));
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
}
