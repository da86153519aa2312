/** fairseq2's tokenizers: every mode, error and text of its outputs (0.8.1). */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { TokenizerSettings } from "../../src/hub/llama-tokenizer-hub.ts";
import type { Fairseq2Tokenizer } from "../../src/llama/tokenizer/fairseq2-tokenizer.ts";
import {
  LLaMATokenizerConfig,
  loadFairseq2Tokenizer,
} from "../../src/llama/tokenizer/load-fairseq2-tokenizer.ts";
import type { FilesByName } from "../../src/llama/tokenizer/tokenizer-files.ts";

interface GoldenMode {
  prefix_indices?: number[] | null;
  suffix_indices?: number[] | null;
  cases?: { text: string; ids: number[] }[];
  error?: string;
}

interface Golden {
  name: string;
  path: string;
  config: TokenizerSettings;
  load_error?: string;
  vocab_info: Record<string, number | null>;
  eos_token: string | null;
  modes: Record<string, GoldenMode>;
  create_encoder_errors: { kwargs: Record<string, string>; error: string }[];
  raw_encoder: { text: string; ids: number[] }[];
  decode: { ids: number[]; text: string; text_skip_special: string }[];
  encode_as_tokens: { text: string; tokens: string[] }[];
}

const goldens: Golden[] = JSON.parse(
  readFileSync("tests/goldens/fairseq2/tokenizers.json", "utf8"),
);

function filesOf(path: string): Uint8Array | FilesByName {
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(`tests/goldens/${name}`));
  if (path.endsWith(".model")) return read(path);
  const names = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];
  return Object.fromEntries(names.map((name) => [name, read(`${path}/${name}`)]));
}

/** The message behind Python's class. */
const messageOf = (error: string): string => error.replace(/^\w+: /, "");

describe.each(goldens)("$name", (golden) => {
  const load = (): Promise<Fairseq2Tokenizer> =>
    loadFairseq2Tokenizer(filesOf(golden.path), new LLaMATokenizerConfig(golden.config));

  if (golden.load_error !== undefined) {
    test("is refused with fairseq2's reason", async () => {
      await expect(load()).rejects.toMatchObject({
        code: "unsupported",
        message: messageOf(golden.load_error!),
      });
    });
    return;
  }

  let tokenizer: Fairseq2Tokenizer;
  beforeAll(async () => {
    tokenizer = await load();
  });

  test("vocabulary info", () => {
    expect(tokenizer.vocabInfo).toEqual(golden.vocab_info);
    expect(tokenizer.eosToken ?? null).toBe(golden.eos_token);
    expect(tokenizer.eosTokenId).toBe(golden.vocab_info.eos_idx);
    expect(tokenizer.bosTokenId).toBe(golden.vocab_info.bos_idx);
  });

  describe.each(Object.entries(golden.modes))("mode %s", (name, mode) => {
    const options = name === "None" ? {} : { mode: name };
    if (mode.error !== undefined) {
      test("is refused with fairseq2's reason", () => {
        const expected = { code: "unsupported", message: messageOf(mode.error!) };
        expect(() => tokenizer.createEncoder(options)).toThrow(expect.objectContaining(expected));
      });
      return;
    }
    test("puts these ids around texts", () => {
      const encoder = tokenizer.createEncoder(options);
      expect(encoder.prefix_indices).toEqual(mode.prefix_indices);
      expect(encoder.suffix_indices).toEqual(mode.suffix_indices);
    });
    if (mode.cases === undefined) return;
    test.each(mode.cases.map((c, i) => [i, c] as const))("text %d", (_, { text, ids }) => {
      expect(tokenizer.createEncoder(options)(text)).toEqual(ids);
    });
  });

  test.each(golden.create_encoder_errors)("createEncoder($kwargs)", ({ kwargs, error }) => {
    const expected = { code: "bad_request", message: messageOf(error) };
    expect(() => tokenizer.createEncoder(kwargs)).toThrow(expect.objectContaining(expected));
  });

  test("a raw encoder", () => {
    const encoder = tokenizer.createRawEncoder();
    for (const { text, ids } of golden.raw_encoder) expect(encoder(text)).toEqual(ids);
  });

  test("decoded texts", () => {
    for (const { ids, text, text_skip_special } of golden.decode) {
      expect(tokenizer.createDecoder()(ids)).toBe(text);
      expect(tokenizer.createDecoder({ skip_special_tokens: true })(ids)).toBe(text_skip_special);
    }
  });

  test("spellings", () => {
    for (const { text, tokens } of golden.encode_as_tokens) {
      expect(tokenizer.createEncoder().encodeAsTokens(text)).toEqual(tokens);
    }
  });
});
