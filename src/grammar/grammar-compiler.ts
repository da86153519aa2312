/** Grammars of one vocabulary: compiled when they are first asked for, and kept for those who ask again. */
import { PronkError } from "../errors.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { writableCharacters } from "./alphabet.ts";
import {
  type CompiledGrammar,
  type CompileOptions,
  compileGrammar,
  compileLibrary,
} from "./compile-grammar.ts";
import type { Grammar } from "./expression.ts";
import { compileJsonSchema, requireShallow } from "./json-schema/compile-json-schema.ts";
import { CALLED_RULES, JSON_RULES } from "./json-text.ts";
import { literalChoice } from "./literal-choice.ts";
import { GrammarMatcher } from "./matcher.ts";
import { parseGbnf } from "./parse-gbnf.ts";
import { parseRegex } from "./parse-regex.ts";
import { withFewTests } from "./pattern-test.ts";
import { compileStructure, type Structure } from "./structure.ts";
import { TokenMasks } from "./token-masks.ts";
import { buildTokenTrie } from "./token-trie.ts";
import { withFewProperties } from "./unicode-property.ts";

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
  | { readonly type: "gbnf"; readonly source: string }
  /** Texts and values put together. */
  | { readonly type: "structure"; readonly root: Structure };

/** Grammars that are kept, the last used last, while they take no more than these bytes. */
const MAX_KEPT = 32;
const MAX_KEPT_BYTES = 16e6;
const MAX_CHOICES = 10_000;
/** What is kept is found by its text, which may not be longer. */
const MAX_KEY_CHARS = 1_000_000;

/** What every grammar of a vocabulary needs of it. */
interface Shared {
  readonly masks: TokenMasks;
  readonly options: CompileOptions;
}

export class GrammarCompiler {
  readonly #tokenizer: Tokenizer;
  readonly #kept: Map<string, CompiledGrammar> = new Map();
  #shared: Shared | undefined;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /**
   * Before the first token of an output.
   *
   * @throws PronkError "bad_request", "unsupported": what is wrong with the grammar, by name.
   */
  matcher(spec: GrammarSpec): GrammarMatcher {
    const grammar = this.#compiled(spec);
    return new GrammarMatcher(grammar, this.#withVocabulary().masks);
  }

  /** @throws PronkError as `matcher` does. */
  check(spec: GrammarSpec): void {
    this.#compiled(spec);
  }

  /** About what grammars, and the tokens that were found for them, take at present. */
  get bytes(): number {
    let bytes = this.#shared?.masks.bytes ?? 0;
    for (const [key, grammar] of this.#kept) bytes += bytesOf(key, grammar);
    return bytes;
  }

  #compiled(spec: GrammarSpec): CompiledGrammar {
    if (spec.type === "json_schema") requireShallow(spec.schema);
    const key = JSON.stringify(spec);
    if (key.length > MAX_KEY_CHARS) {
      throw new PronkError(
        "bad_request",
        `grammar: ${key.length} characters, at most ${MAX_KEY_CHARS}`,
      );
    }
    const known = this.#kept.get(key);
    const grammar = known ?? this.#compile(spec);
    if (known !== undefined) this.#kept.delete(key);
    this.#kept.set(key, grammar);
    this.#evict();
    return grammar;
  }

  #compile(spec: GrammarSpec): CompiledGrammar {
    const { options } = this.#withVocabulary();
    try {
      const grammar = withFewTests(() => withFewProperties(() => grammarOf(spec)));
      return compileGrammar(grammar, options);
    } catch (cause) {
      // Stacks are of different lengths: what is shallow enough for one runtime is too deep for another.
      if (!(cause instanceof RangeError)) throw cause;
      const why = "nested too deeply or too long";
      throw new PronkError("bad_request", `grammar: ${why}`, { cause });
    }
  }

  /** Grammars grow while they are used: all are looked at. The last one stays, whatever it takes. */
  #evict(): void {
    let bytes = 0;
    let count = 0;
    for (const [key, grammar] of [...this.#kept].reverse()) {
      bytes += bytesOf(key, grammar);
      if (++count > 1 && (count > MAX_KEPT || bytes > MAX_KEPT_BYTES)) this.#kept.delete(key);
    }
  }

  #withVocabulary(): Shared {
    this.#shared ??= this.#readVocabulary();
    return this.#shared;
  }

  #readVocabulary(): Shared {
    const texts = this.#tokenizer.allTokenBytes();
    const trie = buildTokenTrie(texts, this.#tokenizer.specialIds());
    const alphabet = writableCharacters(trie);
    const library = compileLibrary(JSON_RULES, CALLED_RULES, ["character"], alphabet);
    return { masks: new TokenMasks(trie), options: { alphabet, library } };
  }
}

function bytesOf(key: string, { bytes }: CompiledGrammar): number {
  return 2 * key.length + bytes;
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
    case "structure":
      return compileStructure(spec.root);
  }
}
