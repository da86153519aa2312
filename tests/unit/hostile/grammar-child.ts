/** Compiles every hostile grammar over a vocabulary of 50,000 tokens and writes under it; one line of JSON for each. */

import { PronkError } from "../../../src/errors.ts";
import { GrammarCompiler } from "../../../src/grammar/grammar-compiler.ts";
import type { Tokenizer } from "../../../src/tokenizers/tokenizer.ts";
import { joinTexts } from "../../support/join-texts.ts";
import { chanceOf } from "../../support/random-schemas.ts";
import { HOSTILE_GRAMMARS } from "./hostile-grammars.ts";

export interface GrammarReport {
  readonly name: string;
  /** What it was refused with; "" for none. */
  readonly refused: string;
  readonly compileMs: number;
  /** The slowest token: its mask, reading it, and what is forced behind it. */
  readonly slowestMs: number;
  readonly tokens: number;
  /** What the compiler says that it keeps. */
  readonly keptBytes: number;
}

const VOCAB = 50_000;
const TOKENS = 60;

const chance = chanceOf(5);
const LETTERS = ' abcdefghijklmnopqrstuvwxyz0123456789":,{}[]ABC_-';
const encoder = new TextEncoder();
const texts = Array.from({ length: VOCAB }, (_, id) =>
  id < 256
    ? Uint8Array.of(id)
    : encoder.encode(
        Array.from({ length: 2 + chance.below(7) }, () => chance.pick([...LETTERS])).join(""),
      ),
);
const tokenizer = {
  vocabSize: VOCAB,
  specialIds: () => [],
  allTokenBytes: () => joinTexts(texts),
} as unknown as Tokenizer;

const grammars = new GrammarCompiler(tokenizer);
grammars.check({ type: "regex", pattern: "a" });
for (const [name, spec] of HOSTILE_GRAMMARS) {
  let refused = "";
  let slowestMs = 0;
  let tokens = 0;
  const started = performance.now();
  let compileMs = 0;
  try {
    const matcher = grammars.matcher(spec);
    compileMs = performance.now() - started;
    const allowed = new Uint32Array(Math.ceil(VOCAB / 32));
    for (; tokens < TOKENS; tokens++) {
      const begun = performance.now();
      allowed.fill(0);
      matcher.addAllowed(allowed);
      const ids: number[] = [];
      for (let id = 0; id < VOCAB; id++) if ((allowed[id >>> 5] >>> (id & 31)) & 1) ids.push(id);
      if (ids.length === 0) break;
      matcher.accept(texts[chance.pick(ids)]);
      matcher.forcedBytes();
      slowestMs = Math.max(slowestMs, performance.now() - begun);
    }
  } catch (error) {
    if (!(error instanceof PronkError)) throw error;
    refused = error.message.slice(0, 200);
    compileMs ||= performance.now() - started;
  }
  const report: GrammarReport = {
    name,
    refused,
    compileMs,
    slowestMs,
    tokens,
    keptBytes: grammars.bytes,
  };
  console.log(JSON.stringify(report));
}
