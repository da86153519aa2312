/** fairseq2's tokenizer hub: tokenizers by the names of asset cards, and from files. */
import { PronkError } from "../../errors.ts";
import { AssetStore } from "../../hub/assets/asset-store.ts";
import { BUILTIN_CARDS } from "../../hub/assets/builtin-cards.ts";
import {
  LlamaTokenizerHub,
  settingsFor,
  type TokenizerFiles,
} from "../../hub/llama-tokenizer-hub.ts";
import type { SourceFolder } from "../../sources/source.ts";
import type { Fairseq2Tokenizer } from "./fairseq2-tokenizer.ts";
import { loadFairseq2Tokenizer } from "./load-fairseq2-tokenizer.ts";
import type { FilesByName } from "./tokenizer-files.ts";

export interface TokenizerHubOptions {
  /** Where cards are looked up. Default: the built-in cards. */
  readonly store?: () => Promise<AssetStore>;
  /** Opens what a card or a caller names by path or URL: a folder for `hg`, else a file's bytes. */
  readonly open?: (
    location: string | URL,
    wanted: "folder" | "file",
  ) => Promise<SourceFolder | Uint8Array>;
}

/** The hub of Llama's tokenizers: loadTokenizer(name), loadCustomTokenizer(files, config). */
export function getLlamaTokenizerHub(
  options: TokenizerHubOptions = {},
): LlamaTokenizerHub<Fairseq2Tokenizer, object> {
  return new LlamaTokenizerHub<Fairseq2Tokenizer, object>({
    store: options.store ?? (() => Promise.resolve(new AssetStore([BUILTIN_CARDS]))),
    load: async (wanted) => {
      const { files, config } = wanted;
      const found = await openFiles(files, config.impl === "hg" ? "folder" : "file", options);
      return loadFairseq2Tokenizer(found, settingsFor(wanted, !(found instanceof Uint8Array)));
    },
  });
}

/** The tokenizer of an asset card, whatever its family's hub. */
export function loadTokenizer(
  name: string,
  options: TokenizerHubOptions = {},
): Promise<Fairseq2Tokenizer> {
  return getLlamaTokenizerHub(options).loadTokenizer(name);
}

async function openFiles(
  files: TokenizerFiles,
  wanted: "folder" | "file",
  { open }: TokenizerHubOptions,
): Promise<SourceFolder | FilesByName | Uint8Array> {
  if (typeof files !== "string" && !(files instanceof URL)) return files;
  if (open === undefined) throw missing(`open, for ${String(files)}`);
  return open(files, wanted);
}

function missing(what: string): PronkError {
  return new PronkError("bad_request", `tokenizer hub: made without \`${what}\``);
}
