/** Constrained texts of tokenizers of both kinds: what is decoded is what the grammar read. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readGguf } from "../../../src/formats/gguf/read-gguf.ts";
import { Constraint } from "../../../src/generate/constraint.ts";
import { createOutputText } from "../../../src/generate/output-text.ts";
import { GrammarCompiler } from "../../../src/grammar/grammar-compiler.ts";
import { memorySource } from "../../../src/sources/memory.ts";
import { compileTokenizer } from "../../../src/tokenizers/compile-tokenizer.ts";
import { loadTokenizer } from "../../../src/tokenizers/load-tokenizer.ts";
import { chanceOf } from "../../support/random-schemas.ts";
import { schemaValidator } from "../../support/schema-validator.ts";

const SCHEMA = {
  type: "object",
  properties: {
    "first name": { type: "string", maxLength: 20 },
    "Größe 😀": { type: "number", minimum: 0, maximum: 3 },
    kind: { enum: ["a very long kind", "another kind"] },
  },
  required: ["first name", "Größe 😀", "kind"],
  additionalProperties: false,
};

test.each(["tok_bpe", "tok_sp"])("%s", async (name) => {
  const path = `tests/goldens/tokenizers/${name}.gguf`;
  const { metadata } = await readGguf(memorySource(readFileSync(path), path));
  const tokenizer = loadTokenizer(compileTokenizer(metadata));
  const grammars = new GrammarCompiler(tokenizer);
  const problem = schemaValidator(SCHEMA);
  let forced = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const chance = chanceOf(seed * 99_991);
    const matcher = grammars.matcher({ type: "json_schema", schema: SCHEMA });
    const constraint = new Constraint(matcher, tokenizer, tokenizer.eogIds);
    const output = createOutputText(tokenizer, []);
    let text = "";
    for (let tokens = 0; !constraint.finished && tokens < 500; tokens++) {
      const scores = new Float32Array(tokenizer.vocabSize);
      constraint.mask(scores);
      const allowed = [...scores.keys()].filter((id) => scores[id] === 0);
      const next = constraint.nextForced();
      if (next !== undefined) {
        forced++;
        expect(allowed).toContain(next);
      }
      const id = next ?? chance.pick(allowed);
      expect(tokenizer.isSpecial(id)).toBe(false);
      constraint.accept(id);
      text += output.push(id);
    }
    text += output.flush();
    expect(constraint.finished).toBe(true);
    expect([text, problem(text)]).toEqual([text, undefined]);
  }
  expect(forced).toBeGreaterThan(40);
});
