import { describe, expect, test } from "vitest";
import {
  BUILTIN_TEMPLATES,
  createTemplateFor,
  detectTemplate,
} from "../../../src/templates/choose-template.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import {
  byteLevelMetadata,
  CONTROL,
  NORMAL,
  sentencePieceMetadata,
} from "../tokenizers/vocabularies.ts";

/** Bytes, then these tokens; the first is BOS, the last EOS. */
function byteLevel(special: readonly string[], type = CONTROL): Tokenizer {
  const ids =
    special.length > 0 ? { bos_token_id: 256, eos_token_id: 255 + special.length } : undefined;
  return loadTokenizer(
    compileTokenizer(
      byteLevelMetadata({ merges: [], special: special.map((text) => [text, type]), more: ids }),
    ),
  );
}

const chatml = byteLevel(["<|im_start|>", "<|im_end|>"]);
const llama3 = byteLevel([
  "<|begin_of_text|>",
  "<|start_header_id|>",
  "<|end_header_id|>",
  "<|eot_id|>",
]);
const llama2 = loadTokenizer(compileTokenizer(sentencePieceMetadata({ pieces: [["▁", 0]] })));

const MESSAGES = [
  { role: "system", content: "Be brief." },
  { role: "user", content: " Hi " },
];

describe("without a template of its own, a model takes", () => {
  test.each([
    [
      "chatml",
      chatml,
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n",
    ],
    [
      "llama3",
      llama3,
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ],
    ["llama2", llama2, "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST]"],
  ] as const)("%s by its special tokens", (name, tokenizer, expected) => {
    expect(detectTemplate(tokenizer)).toBe(name);
    const template = createTemplateFor(null, tokenizer);
    expect(template?.source).toBe(BUILTIN_TEMPLATES[name]);
    expect(template?.render(MESSAGES)).toBe(expected);
  });

  test("none when its vocabulary shows no format", () => {
    expect(createTemplateFor(null, byteLevel([]))).toBeUndefined();
    expect(createTemplateFor("", byteLevel(["<|im_start|>"]))).toBeUndefined();
  });

  test("none when the format's tokens are plain text", () => {
    expect(detectTemplate(byteLevel(["<|im_start|>", "<|im_end|>"], NORMAL))).toBeUndefined();
  });
});

test("a model's own template comes first, with the model's own tokens", () => {
  const source = "{{ bos_token }}|{{ eos_token }}|{{ messages[1].content }}";
  const template = createTemplateFor(source, chatml);
  expect(template?.source).toBe(source);
  expect(template?.render(MESSAGES)).toBe("<|im_start|>|<|im_end|>| Hi ");
});

test("the clock reaches the template", () => {
  const template = createTemplateFor("{{ strftime_now('%Y') }}", chatml, {
    now: () => new Date(0),
  });
  expect(template?.render([])).toBe("1970");
});

test("a template that is not Jinja fails when it is rendered, not before", () => {
  const template = createTemplateFor("{% for %}", chatml);
  expect(() => template?.render(MESSAGES)).toThrow(expect.objectContaining({ code: "bad_format" }));
});
