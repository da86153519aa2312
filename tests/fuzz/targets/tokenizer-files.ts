/** A tokenizer's folder as AutoTokenizer opens it: tokenizer.json or tokenizer.model, and what is beside it. */
import { autoTokenizer } from "../../../src/llama/tokenizer/load-tokenizer.ts";
import { filesLayout, joinFiles, splitFiles } from "../files.ts";
import { readJson } from "../json-layout.ts";
import { Layout, layoutOf } from "../layout.ts";
import type { FuzzTarget, Probe } from "../target.ts";
import { target as sentencePiece } from "./sentencepiece.ts";
import { target as tokenizerJson } from "./tokenizer-json.ts";

const token = (content: string) => ({
  content,
  lstrip: false,
  normalized: false,
  rstrip: false,
  single_word: false,
  special: true,
});

const CONFIG = {
  add_bos_token: true,
  add_eos_token: false,
  added_tokens_decoder: { "0": token("<unk>"), "1": token("<s>"), "2": token("</s>") },
  additional_special_tokens: ["<more>"],
  bos_token: "<s>",
  clean_up_tokenization_spaces: false,
  eos_token: token("</s>"),
  legacy: false,
  model_max_length: 512,
  pad_token: null,
  padding_side: "left",
  tokenizer_class: "LlamaTokenizer",
  truncation_side: "right",
  unk_token: "<unk>",
};

const SPECIAL = { bos_token: token("<s>"), unk_token: "<unk>", pad_token: "<pad>" };
const TEXTS = ["Hello <s>wörld</s>", "aab <more>"];

const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

async function seeds(): Promise<Uint8Array[]> {
  const [byteLevel, metaspace] = await tokenizerJson.seeds();
  const [model] = await sentencePiece.seeds();
  const beside = {
    "tokenizer_config.json": bytesOf(CONFIG),
    "special_tokens_map.json": bytesOf(SPECIAL),
  };
  const { added_tokens_decoder: _, ...bare } = {
    ...CONFIG,
    tokenizer_class: "PreTrainedTokenizerFast",
  };
  return [
    joinFiles({ "tokenizer.json": metaspace!, ...beside }),
    joinFiles({ "tokenizer.model": model!, ...beside }),
    joinFiles({
      "tokenizer.json": byteLevel!,
      "tokenizer_config.json": bytesOf(bare),
      "added_tokens.json": bytesOf({ "<more>": 10, "<most>": 11 }),
    }),
  ];
}

async function run(input: Uint8Array, probe: Probe): Promise<void> {
  const files = splitFiles(input);
  const isJson = files.get("tokenizer.json")?.[0] === 0x7b;
  if (isJson || files.get("tokenizer.model")?.[0] === 0x0a) probe.pastHeader();
  const tokenizer = await autoTokenizer(Object.fromEntries(files));
  probe.saw(`${tokenizer.constructor.name} ${Object.keys(tokenizer.getAddedVocab()).length}`);
  for (const text of TEXTS) {
    const ids = tokenizer.encode(text);
    const { input_ids, attention_mask } = tokenizer.call(text, { truncation: true, max_length: 5 });
    if (attention_mask?.length !== undefined && attention_mask.length !== input_ids.length) {
      throw new Error(`${input_ids.length} ids, and a mask of ${attention_mask.length}`);
    }
    tokenizer.decode(ids, { skip_special_tokens: true });
    tokenizer.tokenize(text);
    probe.saw(`${Math.log2(1 + ids.length) | 0} ids`);
  }
  const written = new Map<string, Uint8Array>();
  await tokenizer.savePretrained((name, bytes) => void written.set(name, bytes));
  probe.saw(`${written.size} files`);
}

export const target: FuzzTarget = {
  seeds,
  layout: (input) =>
    filesLayout(input, (name, bytes) => {
      if (name === "tokenizer.model") return sentencePiece.layout(bytes);
      return name.endsWith(".json") ? layoutOf(bytes, (reader) => readJson(reader)) : new Layout();
    }),
  words: [
    ..."bos_token,eos_token,pad_token,unk_token,mask_token,added_tokens_decoder,additional_special_tokens,__type".split(
      ",",
    ),
    ..."extra_special_tokens,model_max_length,padding_side,truncation_side,legacy,LlamaTokenizer,LlamaTokenizerFast".split(
      ",",
    ),
    ..."<s>,</s>,<more>,AddedToken,chat_template,content,special,0,3,99,-1".split(","),
  ],
  run,
  planted: {
    name: "options of any type",
    file: "src/llama/tokenizer/tokenizer-options.ts",
    find: "if (!valid(value)) throw",
    replace: "if (value === key) throw",
  },
};
