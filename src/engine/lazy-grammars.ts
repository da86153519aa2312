/**
 * Grammars whose code, a fifth of the engine's and of use to few requests, is loaded by the first that needs it, or by
 * who awaits loadGrammars() before.
 */
import { PronkError } from "../errors.ts";
import type { GrammarCompiler, GrammarSpec } from "../grammar/grammar-compiler.ts";
import type { GrammarMatcher } from "../grammar/matcher.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Grammars } from "./scheduler-options.ts";

let code: typeof import("../grammar/grammar-compiler.ts") | undefined;

/** Once for all models. */
export async function loadGrammars(): Promise<void> {
  code ??= await import("../grammar/grammar-compiler.ts");
}

export class LazyGrammars implements Grammars {
  readonly #tokenizer: Tokenizer;
  #compiler: GrammarCompiler | undefined;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  pending(): Promise<void> | undefined {
    return code === undefined ? loadGrammars() : undefined;
  }

  matcher(spec: GrammarSpec): GrammarMatcher {
    return this.#loaded().matcher(spec);
  }

  /** @throws PronkError "loading" before the code is there. */
  check(spec: GrammarSpec): void {
    this.#loaded().check(spec);
  }

  #loaded(): GrammarCompiler {
    if (code === undefined) throw new PronkError("loading", "grammar: its code is not loaded yet");
    this.#compiler ??= new code.GrammarCompiler(this.#tokenizer);
    return this.#compiler;
  }
}
