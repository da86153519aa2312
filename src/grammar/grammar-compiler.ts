/** Grammars of one vocabulary: compiled when they are first asked for, and kept for those who ask again. */
import { PronkError } from "../errors.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { type CompiledGrammar, compileGrammar } from "./compile-grammar.ts";
import type { Grammar } from "./expression.ts";
import { compileJsonSchema } from "./json-schema/compile-json-schema.ts";
import { JSON_RULES } from "./json-text.ts";
import { literalChoice } from "./literal-choice.ts";
import { GrammarMatcher } from "./matcher.ts";
import { parseGbnf } from "./parse-gbnf.ts";
import { parseRegex } from "./parse-regex.ts";
import { TokenMasks } from "./token-masks.ts";
import { buildTokenTrie } from "./token-trie.ts";

/** What an output has to be. */
export type GrammarSpec =
  /** A value that is valid under this schema (draft 2020-12). */
  | { readonly type: "json_schema"; readonly schema: unknown }
  /** Any JSON object. */
  | { readonly type: "json_object" }
  /** A text that this regular expression matches, all of it. */
  | { readonly type: "regex"; readonly pattern: string }
  /** One of these texts. */
  | { readonly type: "choice"; readonly choices: readonly string[] }
  /** A text of this grammar in llama.cpp's notation. */
  | { readonly type: "gbnf"; readonly source: string };

/** Grammars that are kept, the last used last. */
const MAX_KEPT = 32;
const MAX_CHOICES = 10_000;
/** What is kept is found by its text, which may not be longer. */
const MAX_KEY_CHARS = 1_000_000;

interface Kept {
  readonly grammar: CompiledGrammar;
  readonly masks: TokenMasks;
}

export class GrammarCompiler {
  readonly #tokenizer: Tokenizer;
  readonly #kept: Map<string, Kept> = new Map();
  #trie: ReturnType<typeof buildTokenTrie> | undefined;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /**
   * Before the first token of an output.
   *
   * @throws PronkError "bad_request", "unsupported": what is wrong with the grammar, by name.
   */
  matcher(spec: GrammarSpec): GrammarMatcher {
    const { grammar, masks } = this.#compiled(spec);
    return new GrammarMatcher(grammar, masks);
  }

  /** @throws PronkError as `matcher` does. */
  check(spec: GrammarSpec): void {
    this.#compiled(spec);
  }

  #compiled(spec: GrammarSpec): Kept {
    const key = JSON.stringify(spec);
    if (key.length > MAX_KEY_CHARS) {
      throw new PronkError(
        "bad_request",
        `grammar: ${key.length} characters, at most ${MAX_KEY_CHARS}`,
      );
    }
    let kept = this.#kept.get(key);
    if (kept === undefined) {
      this.#trie ??= this.#buildTrie();
      kept = { grammar: compileGrammar(grammarOf(spec)), masks: new TokenMasks(this.#trie) };
    } else this.#kept.delete(key);
    this.#kept.set(key, kept);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT) this.#kept.delete(oldest);
    return kept;
  }

  #buildTrie(): ReturnType<typeof buildTokenTrie> {
    const { vocabSize } = this.#tokenizer;
    const special = new Set(this.#tokenizer.specialIds());
    const none = new Uint8Array(0);
    return buildTokenTrie(vocabSize, (id) =>
      special.has(id) ? none : this.#tokenizer.tokenBytes(id),
    );
  }
}

function grammarOf(spec: GrammarSpec): Grammar {
  switch (spec.type) {
    case "json_schema":
      return compileJsonSchema(spec.schema);
    case "json_object":
      return { start: "object", rules: JSON_RULES };
    case "regex":
      return { start: "regex", rules: new Map([["regex", parseRegex(spec.pattern)]]) };
    case "choice": {
      const { choices } = spec;
      if (choices.length === 0 || choices.length > MAX_CHOICES) {
        throw new PronkError("bad_request", `choice: ${choices.length} texts, 1 to ${MAX_CHOICES}`);
      }
      return { start: "choice", rules: new Map([["choice", literalChoice(choices)]]) };
    }
    case "gbnf":
      return parseGbnf(spec.source);
  }
}
