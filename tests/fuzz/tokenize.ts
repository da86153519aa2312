/** Uses a tokenizer as texts and models do: to ids and back, whole and as a stream. */
import type { TokenizerPipeline } from "../../src/tokenizers/pipeline/tokenizer-pipeline.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { usable } from "./usable.ts";

const TEXTS = [
  "Hello,  wörld! it's 12345\n\n\t<s> the\u2581end",
  "\u{1f600}\ud800 e\u0301\u0000 <|im_end|></s><|eot_id|>",
  "aaaaaaaabbabab    ",
  // What patterns that backtrack need.
  `${"a".repeat(40)}!`,
  "",
];

/** So many ids, from the first and from the last. */
const IDS = 40;

/** A tokenizer that has no unknown token may have no ids for a text; what it has must be its own. */
export async function tokenize(tokenizer: Tokenizer): Promise<number> {
  return usable("the tokenizer", () => {
    let count = 0;
    for (const text of TEXTS) {
      for (const parseSpecial of [false, true]) {
        const ids = tokenizer.encode(text, { parseSpecial });
        const { ids: same, offsets } = tokenizer.encodeWithOffsets(text, { parseSpecial });
        if (ids.join() !== same.join()) throw new Error("with offsets the ids are others");
        for (const id of ids) {
          if (!(id >= 0 && id < tokenizer.vocabSize)) throw new Error(`id ${id}`);
        }
        for (const [start, end] of offsets) {
          if (!(start >= 0 && start <= end && end <= text.length)) {
            throw new Error(`a token from ${start} to ${end} in a text of ${text.length}`);
          }
        }
        decodeAlike(tokenizer, ids);
        count += ids.length;
      }
    }
    const size = tokenizer.vocabSize;
    const ends = Array.from({ length: Math.min(IDS, size) }, (_, i) => (i % 2 ? size - 1 - i : i));
    decodeAlike(tokenizer, ends);
    for (const id of ends) {
      tokenizer.tokenId(tokenizer.tokenText(id));
      if (tokenizer.tokenBytes(id).length > tokenizer.allTokenBytes().bytes.length)
        throw new Error("bytes");
    }
    for (const id of [...tokenizer.eogIds, ...tokenizer.specialIds()]) tokenizer.tokenText(id);
    return count;
  });
}

/** As a stream a text is what it is as a whole. */
function decodeAlike(tokenizer: Tokenizer, ids: readonly number[]): void {
  for (const skipSpecialTokens of [false, true]) {
    const whole = tokenizer.decode(ids, { skipSpecialTokens });
    const decoder = tokenizer.createDecoder({ skipSpecialTokens });
    const streamed = ids.map((id) => decoder.push(id)).join("") + decoder.flush();
    if (streamed !== whole)
      throw new Error(`decodes ${JSON.stringify(whole)}, streamed ${JSON.stringify(streamed)}`);
  }
}

/** The same of a pipeline; what it may refuse later, texts that grow without end, is a documented error. */
export function usePipeline(pipeline: TokenizerPipeline): number {
  let count = 0;
  for (const text of TEXTS) {
    const ids = pipeline.encodeIds(text, true, {});
    const encoding = pipeline.encode(text, 0, { words: true });
    const bare = pipeline.encodeIds(text, false, {});
    const isOnce = pipeline.postProcessor.single.filter((piece) => !("ids" in piece)).length === 1;
    if (isOnce && bare.join() !== encoding.ids.join())
      throw new Error("with offsets the ids are others");
    pipeline.decode(ids, false);
    pipeline.decode(ids, true);
    for (const id of ids) pipeline.tokenText(id);
    count += ids.length;
  }
  return count;
}
