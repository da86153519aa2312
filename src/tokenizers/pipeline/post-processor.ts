/**
 * What is put around the tokens of a text or a pair: TemplateProcessing, ByteLevel (which trims
 * offsets) and sequences of them.
 *
 * Source: tokenizers/src/processors of huggingface/tokenizers.
 */
import { PronkError } from "../../errors.ts";
import { type Encoding, joinEncodings, specialEncoding } from "./encoding.ts";

export type TemplatePiece =
  | { readonly sequence: 0 | 1; readonly type_id: number }
  | { readonly ids: readonly number[]; readonly type_id: number };

export interface PostProcessor {
  readonly single: readonly TemplatePiece[];
  readonly pair: readonly TemplatePiece[];
  /** White space at the ends of tokens is left out of their offsets. */
  readonly trimOffsets: boolean;
  /** With trimOffsets: the first space was not in the text. */
  readonly addPrefixSpace: boolean;
}

/** The texts as they are. */
export const NO_POST_PROCESSOR: PostProcessor = {
  single: [{ sequence: 0, type_id: 0 }],
  pair: [
    { sequence: 0, type_id: 0 },
    { sequence: 1, type_id: 1 },
  ],
  trimOffsets: false,
  addPrefixSpace: false,
};

/** BOS and EOS around each text, as Llama's tokenizers have it. */
export function bosEosProcessor(
  bos: number | undefined,
  eos: number | undefined,
  base: PostProcessor = NO_POST_PROCESSOR,
): PostProcessor {
  const around = (sequence: 0 | 1): TemplatePiece[] => [
    ...(bos === undefined ? [] : [{ ids: [bos], type_id: sequence }]),
    { sequence, type_id: sequence },
    ...(eos === undefined ? [] : [{ ids: [eos], type_id: sequence }]),
  ];
  return { ...base, single: around(0), pair: [...around(0), ...around(1)] };
}

/** Tokens that encoding adds to a text, or to a pair. */
export function addedCount({ single, pair }: PostProcessor, isPair: boolean): number {
  return (isPair ? pair : single).reduce(
    (sum, piece) => sum + ("ids" in piece ? piece.ids.length : 0),
    0,
  );
}

/** Puts the template around one text or two. */
export function postProcess(
  { single, pair }: PostProcessor,
  first: Encoding,
  second: Encoding | undefined,
  addSpecialTokens: boolean,
): Encoding {
  const template = second === undefined ? single : pair;
  return joinEncodings(
    template.flatMap((piece) => {
      if ("ids" in piece) {
        return addSpecialTokens ? piece.ids.map((id) => specialEncoding(id, piece.type_id)) : [];
      }
      const encoding = piece.sequence === 0 ? first : second!;
      return [withType(encoding, piece.type_id)];
    }),
  );
}

function withType(encoding: Encoding, type: number): Encoding {
  if (encoding.type_ids[0] === type && encoding.overflowing.length === 0) return encoding;
  return {
    ...encoding,
    type_ids: new Uint8Array(encoding.ids.length).fill(type),
    overflowing: encoding.overflowing.map((o) => withType(o, type)),
  };
}

/** Of the post_processor of a tokenizer.json. @throws PronkError "bad_format"; "unsupported". */
export function readPostProcessor(value: unknown, vocab: number): PostProcessor {
  let result = NO_POST_PROCESSOR;
  const steps = isRecord(value) && value.type === "Sequence" ? value.processors : [value];
  if (!Array.isArray(steps)) throw bad("Sequence without processors");
  for (const step of steps) {
    if (step === null) continue;
    if (!isRecord(step)) throw bad("not an object");
    if (step.type === "ByteLevel") {
      result = {
        ...result,
        trimOffsets: step.trim_offsets !== false,
        addPrefixSpace: step.add_prefix_space !== false,
      };
    } else if (step.type === "TemplateProcessing") {
      const ids = specialIds(step.special_tokens, vocab);
      result = {
        ...result,
        single: readTemplate(step.single, ids, false),
        pair: readTemplate(step.pair, ids, true),
      };
    } else {
      const supported = "TemplateProcessing, ByteLevel, Sequence";
      throw new PronkError(
        "unsupported",
        `tokenizer.json: post_processor ${String(step.type)}; supported: ${supported}`,
      );
    }
  }
  return result;
}

function specialIds(value: unknown, vocab: number): ReadonlyMap<string, readonly number[]> {
  const ids = new Map<string, readonly number[]>();
  if (!isRecord(value)) throw bad("special_tokens is not an object");
  for (const [name, entry] of Object.entries(value)) {
    const list = isRecord(entry) ? entry.ids : undefined;
    const valid = (id: unknown): boolean =>
      Number.isInteger(id) && Number(id) >= 0 && Number(id) < vocab;
    if (!Array.isArray(list) || list.length > MAX_PIECES || !list.every(valid)) {
      throw bad(`special token ${name} has no ids of the vocabulary`);
    }
    ids.set(name, list as number[]);
  }
  return ids;
}

/** Templates in use have four pieces. */
const MAX_PIECES = 64;

function readTemplate(
  value: unknown,
  ids: ReadonlyMap<string, readonly number[]>,
  isPair: boolean,
): TemplatePiece[] {
  if (!Array.isArray(value) || value.length > MAX_PIECES) throw bad("a template is not a list");
  return value.map((piece: unknown): TemplatePiece => {
    const entry = isRecord(piece) ? (piece.SpecialToken ?? piece.Sequence) : undefined;
    if (!isRecord(piece) || !isRecord(entry)) throw bad("a template's piece");
    const type_id = typeof entry.type_id === "number" ? entry.type_id : 0;
    if ("SpecialToken" in piece) {
      const found = ids.get(String(entry.id));
      if (found === undefined) throw bad(`no special token ${String(entry.id)}`);
      return { ids: found, type_id };
    }
    if (entry.id !== "A" && !(entry.id === "B" && isPair)) throw bad("a template's sequence");
    return { sequence: entry.id === "A" ? 0 : 1, type_id };
  });
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(why: string): PronkError {
  return new PronkError("bad_format", `tokenizer.json: post_processor: ${why}`);
}
