import { expect, test } from "vitest";
import { createOutputText } from "../../../src/generate/output-text.ts";
import { bitsAt } from "../../../src/generate/random.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { toyTokenizer } from "../engine/toy-tokenizer.ts";
import { sentencePieceMetadata } from "../tokenizers/vocabularies.ts";

const utf8 = new TextEncoder();

test("text and stop do not depend on where tokens split the bytes", () => {
  let draws = 0;
  const pick = (below: number): number => Number(bitsAt(4n, draws++) % BigInt(below));
  // One, two, three and four bytes.
  const letters = ["a", "b", "é", "€", "😀"];
  const word = (length: number): string =>
    Array.from({ length }, () => letters[pick(letters.length)]).join("");
  let stopped = 0;
  for (let n = 0; n < 1000; n++) {
    const text = word(1 + pick(20));
    const stop = word(1 + pick(3));
    const bytes = utf8.encode(text);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + pick(5);
      pieces.push(bytes.subarray(at, end));
      at = end;
    }
    const output = createOutputText(toyTokenizer(pieces, []), [stop]);
    const parts = pieces.map((_, id) => output.push(id));
    const at = text.indexOf(stop);
    expect(parts.join("") + output.flush()).toBe(at < 0 ? text : text.slice(0, at));
    expect(output.stop !== undefined).toBe(at >= 0);
    // No part ends within a surrogate pair.
    for (const part of parts) expect(new TextDecoder().decode(utf8.encode(part))).toBe(part);
    if (at >= 0) stopped++;
  }
  expect(stopped).toBeGreaterThan(200);
  expect(stopped).toBeLessThan(900);
});

test("special tokens and ids beyond the tokenizer have no text", () => {
  const output = createOutputText(toyTokenizer(["<s>", "x", "y"], [0]), ["xy"]);
  expect([1, 0, 3, 1, 2].map((id) => output.push(id))).toEqual(["", "", "", "x", ""]);
  expect(output.stop).toBeDefined();
});

test("incomplete bytes at the end become U+FFFD, and may complete a stop text", () => {
  const tokenizer = toyTokenizer(["a", Uint8Array.of(0xe2, 0x82)], []);
  const open = createOutputText(tokenizer, []);
  expect([open.push(0), open.push(1), open.flush()]).toEqual(["a", "", "\ufffd"]);
  const stopping = createOutputText(tokenizer, ["a\ufffd"]);
  expect([stopping.push(0), stopping.push(1), stopping.flush()]).toEqual(["", "", ""]);
  expect(stopping.stop).toBeDefined();
});

test("an output goes on behind its prompt: SentencePiece's first space is part of it", () => {
  const tokenizer = loadTokenizer(
    compileTokenizer(
      sentencePieceMetadata({
        pieces: [
          ["▁", -1],
          ["a", -2],
          ["▁a", -3],
        ],
      }),
    ),
  );
  const id = tokenizer.tokenId("▁a")!;
  const output = createOutputText(tokenizer, []);
  expect(output.push(id) + output.push(id) + output.flush()).toBe(" a a");
});
