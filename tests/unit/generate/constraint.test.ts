import { describe, expect, test } from "vitest";
import { Constraint } from "../../../src/generate/constraint.ts";
import { GrammarCompiler, type GrammarSpec } from "../../../src/grammar/grammar-compiler.ts";
import { tokenizer } from "../server/toy-engine.ts";

const grammars = new GrammarCompiler(tokenizer);
const PADDED = tokenizer.vocabSize + 70;

const constrain = (spec: GrammarSpec, endIds: readonly number[] = tokenizer.eogIds): Constraint =>
  new Constraint(grammars.matcher(spec), tokenizer, endIds);

/** Ids that are left; the head has more rows than there are tokens. */
function left(constraint: Constraint): number[] {
  const scores = new Float32Array(PADDED);
  constraint.mask(scores);
  return [...scores.keys()].filter((id) => scores[id] === 0);
}

const idOf = (text: string): number => {
  const [id, ...more] = tokenizer.encode(text, { addSpecialTokens: false });
  expect(more).toEqual([]);
  return id;
};

describe("a constraint leaves", () => {
  test("no padding of the head", () => {
    const ids = left(constrain({ type: "regex", pattern: "[^]*" }));
    expect(ids.length).toBeGreaterThan(900);
    expect(Math.max(...ids)).toBeLessThan(tokenizer.vocabSize);
  });

  test("no special tokens but those that end, and these where the text is complete", () => {
    const constraint = constrain({ type: "regex", pattern: "a|ab" });
    expect(left(constraint).filter((id) => tokenizer.isSpecial(id))).toEqual([]);
    constraint.accept(idOf("a"));
    expect(left(constraint).filter((id) => tokenizer.isSpecial(id))).toEqual(tokenizer.eogIds);
    expect(constraint.finished).toBe(false);
    constraint.accept(idOf("b"));
    expect(constraint.finished).toBe(true);
  });

  test("nothing that ends where nothing may: the output goes on to the longest", () => {
    const constraint = constrain({ type: "regex", pattern: "a|ab" }, []);
    constraint.accept(idOf("a"));
    expect(left(constraint)).toEqual([idOf("b")]);
  });

  test("texts that end, chosen by the request, only where the text is complete", () => {
    const constraint = constrain({ type: "regex", pattern: "[ab]{2,}" }, [idOf("b")]);
    const before = left(constraint);
    expect(before).toContain(idOf("a"));
    expect(before).not.toContain(idOf("b"));
    constraint.accept(idOf("a"));
    constraint.accept(idOf("a"));
    expect(left(constraint)).toContain(idOf("b"));
  });
});

describe("forced tokens", () => {
  const spec: GrammarSpec = {
    type: "json_schema",
    schema: {
      type: "object",
      properties: { description: { type: "boolean" }, "ünïcode key": { type: "null" } },
      required: ["description", "ünïcode key"],
      additionalProperties: false,
    },
  };

  test("are spelled as the tokenizer spells the text", () => {
    const constraint = constrain(spec);
    const forced: number[] = [];
    for (let id = constraint.nextForced(); id !== undefined; id = constraint.nextForced()) {
      expect(left(constraint)).toContain(id);
      constraint.accept(id);
      forced.push(id);
    }
    expect(forced.length).toBeGreaterThan(2);
    const canonical = tokenizer.encode('{"description": true', { addSpecialTokens: false });
    expect(forced).toEqual(canonical.slice(0, forced.length));
  });
});
