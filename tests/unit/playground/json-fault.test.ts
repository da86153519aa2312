import { describe, expect, test } from "vitest";
import { jsonFault } from "../../../src/playground/views/json-fault.ts";

describe("a text that is no JSON is said to be wrong where it is", () => {
  test.each([
    ["", 1, 1, "expected a value, found the end"],
    ['{\n  "type": object\n}', 2, 11, "expected a value, found object"],
    ['{"a": 1,}', 1, 9, "expected a quoted name, found }"],
    ["{a: 1}", 1, 2, "expected a quoted name or }, found a"],
    ['{"a" 1}', 1, 6, "expected :, found 1"],
    ['{"a": 1\n"b": 2}', 2, 1, 'expected , or }, found "b"'],
    ["[1 2]", 1, 4, "expected , or ], found 2"],
    ["[1,]", 1, 4, "expected a value, found ]"],
    ["[01]", 1, 2, "expected a value or ], found 01"],
    ["[1}", 1, 3, "expected , or ], found }"],
    ['["a', 1, 2, 'expected a value or ], found "a'],
    ['["\\x"]', 1, 2, 'expected a value or ], found "\\x"'],
    ["{} {}", 1, 4, "expected the end, found {"],
    ["[[]", 1, 4, "expected , or ], found the end"],
  ])("%j", (text, line, column, message) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(jsonFault(text)).toEqual({ line, column, message });
  });
});

test.each([
  ' {"a": [1, -2.5e+3, true, false, null, "\\u00e4\\n", {}, []], "b": {"c": ""}} ',
  "0",
  '""',
])("%s is JSON", (text) => {
  JSON.parse(text);
  expect(jsonFault(text)).toBeUndefined();
});

test("a text that the parser takes has no fault, and one that it refuses has", () => {
  const signs = ["{", "}", "[", "]", ",", ":", '"a"', "1", "-", "true", " ", "\n", "x"];
  let seed = 7;
  const next = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 16) % below;
  };
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: 1 + next(7) }, () => signs[next(signs.length)]).join("");
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    expect({ text, isJson: jsonFault(text) === undefined }).toEqual({ text, isJson });
  }
});
