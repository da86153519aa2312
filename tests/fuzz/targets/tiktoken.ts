/** tiktoken's ranks, Llama 3's tokenizer.model: read, compiled, used. */
import { LLAMA3_SPECIAL } from "../../../src/tokenizers/llama3-special-tokens.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { compileTiktoken } from "../../../src/tokenizers/tiktoken-ranks.ts";
import { writeVocabulary } from "../../../src/tokenizers/vocabulary.ts";
import { type Layout, layoutOf } from "../layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { tokenize } from "../tokenize.ts";
import { usable } from "../usable.ts";

const base64 = (bytes: readonly number[]): string => btoa(String.fromCharCode(...bytes));

function ranks(tokens: readonly (readonly number[])[]): Uint8Array {
  return new TextEncoder().encode(
    tokens.map((bytes, rank) => `${base64(bytes)} ${rank}\n`).join(""),
  );
}

const word = (text: string): number[] => [...new TextEncoder().encode(text)];
const WORDS = ["ab", "aa", " a", "aab", "the", " the", "th", "ö"].map(word);
const BYTES = Array.from({ length: 256 }, (_, byte) => [byte]);

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  const line = input.indexOf(0x20);
  if (line > 0 && line < 64) probe.pastHeader();
  const parts = compileTiktoken(input, LLAMA3_SPECIAL.slice(0, 12));
  const none = { bosId: undefined, eosId: undefined, padId: undefined, eogIds: new Uint32Array(0) };
  const block = writeVocabulary({ ...parts, ...none });
  const tokenizer = await usable("the vocabulary", () => loadTokenizer(block));
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (tokenizer.tokenBytes(id).length === 0) throw new Error(`token ${id} has no bytes`);
  }
  probe.saw(
    `${Math.log2(1 + (await tokenize(tokenizer))) | 0} ids of ${Math.log2(tokenizer.vocabSize) | 0}`,
  );
}

function lines(input: Uint8Array): Layout {
  return layoutOf(input, (reader) => {
    while (reader.at < input.length) {
      const start = reader.at;
      const space = input.indexOf(0x20, start);
      const end = input.indexOf(0x0a, start);
      if (space < 0 || end < space) return;
      reader.skip("text", space - start);
      reader.at = space + 1;
      reader.skip("digits", end - space - 1);
      reader.at = end + 1;
      reader.layout.section("line", start, reader.at);
    }
  });
}

export const target: FuzzTarget = {
  seeds: () => [ranks([...BYTES, ...WORDS]), ranks([...BYTES.slice(32, 128), ...WORDS])],
  layout: lines,
  words: ["YQ==", "YWI=", "YQ", "=", "====", "YWJj", "!!!!", "\r"],
  run,
  planted: {
    name: "two lines may have one rank",
    file: "src/tokenizers/tiktoken-ranks.ts",
    find: "if (lines[rank] !== NO_ID) throw",
    replace: "if (lines[rank] === -1) throw",
  },
};
