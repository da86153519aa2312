import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { AttentionMaskVisualizer } from "../../../src/llama/attention-mask-visualizer.ts";
import { pythonCenter, pythonRepr } from "../../../src/llama/python-text.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { metadataOfFile } from "../tokenizers/vocabularies.ts";

interface Golden {
  readonly cases: { text: string; stdout: string }[];
}

const golden: Golden = JSON.parse(
  readFileSync(new URL("../../goldens/maskviz/maskviz.json", import.meta.url), "utf8"),
);

/** The goldens' model was a path of this length, by which the title is centered, and named MODEL afterwards. */
const GOLDEN_NAME = "m".repeat(32);

function visualizer(pieces: readonly string[], name = "MODEL"): AttentionMaskVisualizer {
  return new AttentionMaskVisualizer({
    name,
    tokenizer: { encode: () => pieces.map((_, id) => id), tokenText: (id) => pieces[id] },
  });
}

test.each(golden.cases)("$text is shown as transformers shows it", async ({ text, stdout }) => {
  const metadata = await metadataOfFile("tests/goldens/tokenizers/tok_bpe.gguf");
  const tokenizer = loadTokenizer(compileTokenizer(metadata));
  const shown = new AttentionMaskVisualizer({ name: GOLDEN_NAME, tokenizer }).visualize(text);
  expect(shown.replace(GOLDEN_NAME, "MODEL")).toBe(stdout);
});

test("padding is attended to by nothing", () => {
  const { mask } = visualizer(["a", "b", "c"]).grid("", { attention_mask: [0, 1, 1] });
  expect(mask).toEqual([
    [false, false, false],
    [false, true, false],
    [false, true, true],
  ]);
});

test("a drawing has a square for each pair, and escapes what users write", () => {
  const svg = visualizer(["<b>", "'&\""], "a<b").svg("");
  expect(svg.match(/<rect x=/g)?.length).toBe(4);
  expect(svg.match(/fill="#2da44e"/g)?.length).toBe(2);
  expect(svg.match(/stroke-dasharray/g)?.length).toBe(1);
  expect(svg).toContain("Attention mask of a&#60;b");
  expect(svg).not.toContain("<b>");
  expect(svg).toMatch(/^<svg [^>]*>[\s\S]*<\/svg>\n$/);
});

test.each([
  ["no tokens", [], undefined, /without tokens/],
  ["a mask of another length", ["a"], [1, 1], /2 values for 1 tokens/],
  ["more tokens than can be drawn", Array(1025).fill("a"), undefined, /1025 tokens/],
])("%s is refused", (_, pieces, attention_mask, message) => {
  expect(() => visualizer(pieces).visualize("", { attention_mask })).toThrow(message);
});

describe("texts are shown as Python shows them", () => {
  test.each([
    ["Ġc", "'Ġc'"],
    ["'", `"'"`],
    [`'"`, `'\\'"'`],
    ["\\", "'\\\\'"],
    ["\n\t\r", "'\\n\\t\\r'"],
    ["\u0000\u007f\u00a0\u00ad", "'\\x00\\x7f\\xa0\\xad'"],
    ["\u200b\u3000\ue000", "'\\u200b\\u3000\\ue000'"],
    ["\u{e0001}😀 é", "'\\U000e0001😀 é'"],
  ])("%j", (text, repr) => {
    expect(pythonRepr(text)).toBe(repr);
  });

  test.each([
    ["ab", 5, "  ab "],
    ["abc", 6, " abc  "],
    ["a", 1, "a"],
    ["😀", 3, " 😀 "],
  ])("%j centered in %d", (text, width, centered) => {
    expect(pythonCenter(text, width)).toBe(centered);
  });
});
