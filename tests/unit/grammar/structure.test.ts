import { describe, expect, test } from "vitest";
import { type CompiledGrammar, compileGrammar } from "../../../src/grammar/compile-grammar.ts";
import { compileStructure, type Structure } from "../../../src/grammar/structure.ts";
import { TokenMasks } from "../../../src/grammar/token-masks.ts";
import { matcherAfter, vocabularyOf } from "./byte-vocabulary.ts";

const { trie } = vocabularyOf(["a"]);
const compile = (root: Structure): CompiledGrammar => compileGrammar(compileStructure(root));

/** undefined: it cannot be read to its end. */
function complete(grammar: CompiledGrammar, text: string): boolean | undefined {
  try {
    return matcherAfter(grammar, new TokenMasks(trie), text).complete;
  } catch {
    return undefined;
  }
}

const object = { schema: { type: "integer" }, where: "x" };

describe("a structure reads", () => {
  test.each<[Structure, string[], string[]]>([
    ["ab", ["ab"], ["", "a", "abc"]],
    [{ sequence: ["a", { choice: ["b", "cd"] }] }, ["ab", "acd"], ["a", "abcd"]],
    [{ repeat: { sequence: ["a", object] }, min: 1 }, ["a1", "a1a-23"], ["", "a", "a1a"]],
    [{ repeat: "a", min: 0, max: 2 }, ["", "a", "aa"], ["aaa"]],
    [
      {
        members: [
          { text: "a", required: false },
          { text: "b", required: true },
          { text: "c", required: false },
        ],
      },
      ["b", "a,b", "a, b,c", "b,c"],
      ["", "a", "a,c", "ab", "b,", ",b", "c,b"],
    ],
    [{ object: true }, ["{}", '{"a":[1]}'], ["[]", "1"]],
    [
      {
        sequence: [
          { schema: { type: "boolean" }, where: "x" },
          { schema: { type: "null" }, where: "y" },
          { schema: { type: "boolean" }, where: "z" },
        ],
      },
      ["truenullfalse"],
      ["nullnullnull", "true"],
    ],
    [
      {
        ...{ property: "p", where: "x" },
        schema: { properties: { p: { $ref: "#/$defs/d" } }, $defs: { d: { enum: ["q", 7] } } },
      },
      ['"q"', "7"],
      ["{}", '{"p":7}'],
    ],
    [{ schema: { maxLenght: 1 }, where: "x", otherwise: "else" }, ["else"], ["1", '""']],
  ])("%j", (root, texts, others) => {
    const grammar = compile(root);
    for (const text of texts) expect([text, complete(grammar, text)]).toEqual([text, true]);
    for (const text of others) expect([text, complete(grammar, text)]).not.toEqual([text, true]);
  });
});

test("what is wrong with a schema is said with the field that it came in", () => {
  const structure = { schema: { type: "object", maxLenght: 1 }, where: "tools[3].x" };
  expect(() => compile({ sequence: ["a", structure] })).toThrow(
    expect.objectContaining({
      code: "unsupported",
      param: "tools[3].x",
      message: expect.stringMatching(/^tools\[3\]\.x: .*maxLenght/),
    }),
  );
});

/** Every text of up to five of these characters. */
function textsOf(characters: string): string[] {
  let last = [""];
  const all = [""];
  for (let i = 0; i < 5; i++) {
    last = last.flatMap((text) => [...characters].map((character) => text + character));
    all.push(...last);
  }
  return all;
}

describe("a text without others", () => {
  test.each([[["abc"]], [["ab", "cb"]], [["ab", "acé"]], [["a"]]])("%j: anywhere", (texts) => {
    const grammar = compile({ textWithout: texts, at: "anywhere" });
    for (const text of textsOf("abcé")) {
      const expected = texts.some((other) => text.includes(other)) ? undefined : true;
      expect([text, complete(grammar, text)]).toEqual([text, expected]);
    }
  });

  test.each([[["abc"]], [["ab", "cb", "aa"]], [["ab", "abc"]], [["a", "éa"]], [["aab", "bab"]]])(
    "%j: at the start",
    (texts) => {
      const grammar = compile({ textWithout: texts, at: "start" });
      for (const text of textsOf("abcé")) {
        const expected = texts.some((other) => text.startsWith(other)) ? undefined : true;
        expect([text, complete(grammar, text)]).toEqual([text, expected]);
      }
    },
  );

  test("is refused where an occurrence might hide another's start", () => {
    expect(() => compile({ textWithout: ["aba"], at: "anywhere" })).toThrow("overlap");
  });

  test("of 128 tools with long names in ten spellings compiles soon", () => {
    const names = Array.from({ length: 128 }, (_, i) => `${"tool_name_".repeat(5)}${i}`);
    const texts = names.flatMap((name) =>
      Array.from({ length: 10 }, (_, spaces) => `{"name":${" ".repeat(spaces)}"${name}"`),
    );
    const before = performance.now();
    const grammar = compile({ textWithout: texts, at: "start" });
    expect(performance.now() - before).toBeLessThan(2000);
    expect(complete(grammar, `{"name":  "${names[7]!.slice(0, -1)}x"}`)).toBe(true);
    expect(complete(grammar, `{"name":  "${names[7]}"`)).toBeUndefined();
  });
});
