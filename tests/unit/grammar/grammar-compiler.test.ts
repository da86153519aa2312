import { expect, test } from "vitest";
import { GrammarCompiler } from "../../../src/grammar/grammar-compiler.ts";
import { tokenizer } from "../server/toy-engine.ts";

/** Where so little of the stack is left that `run` fails for it, and then where there is a little more. */
function whereStackEnds(run: () => void): void {
  try {
    whereStackEnds(run);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    run();
  }
}

test("a grammar that is too deep for what is left of the stack is refused by name", () => {
  const compiler = new GrammarCompiler(tokenizer);
  const spec = { type: "regex", pattern: `${"(".repeat(40)}a${")".repeat(40)}` } as const;
  expect(() => whereStackEnds(() => compiler.check(spec))).toThrow(
    expect.objectContaining({
      code: "bad_request",
      message: "grammar: nested too deeply or too long",
    }),
  );
  compiler.check(spec);
});
