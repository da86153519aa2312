import { describe, expect, test } from "vitest";
import type { ToolFormat } from "../../../src/tools/format.ts";
import { hermes } from "../../../src/tools/hermes.ts";
import { llama } from "../../../src/tools/llama.ts";
import { pythonic } from "../../../src/tools/pythonic.ts";
import type { CallParser, OutputEvent } from "../../../src/tools/tool.ts";

const NAMES = ["get_weather", "get", "now"];

interface Read {
  text: string;
  calls: [name: string, json: string][];
}

/** Neighbouring pieces put together; calls come one after the other. */
function read(parser: CallParser, pieces: readonly string[]): Read {
  const found: Read = { text: "", calls: [] };
  const take = (event: OutputEvent): void => {
    if (event.type === "text") found.text += event.text;
    else if (event.type === "call") {
      expect(event.index).toBe(found.calls.length);
      found.calls.push([event.name, ""]);
    } else {
      expect(event.index).toBe(found.calls.length - 1);
      found.calls[event.index]![1] += event.text;
    }
  };
  for (const piece of pieces) parser.push(piece).forEach(take);
  parser.end().forEach(take);
  return found;
}

type Calls = readonly (readonly [name: string, json: string])[];
type Case = readonly [what: string, text: string, content: string, ...calls: Calls];

const PARIS = '{"city": "Paris"}';
const NASTY = '{"city": "a \\"}</tool_call> \\\\", "x": [{"y": "]"}, {}]}';

const CASES: readonly (readonly [ToolFormat, readonly Case[]])[] = [
  [
    hermes,
    [
      [
        "plain text",
        "Two < three,\n\nand <tool> is no call. ",
        "Two < three,\n\nand <tool> is no call. ",
      ],
      ["nothing", "", ""],
      [
        "a call",
        `<tool_call>\n{"name": "get_weather", "arguments": ${PARIS}}\n</tool_call>`,
        "",
        ["get_weather", PARIS],
      ],
      [
        "text and two calls",
        `Let me see.\n\n<tool_call>\n{"name": "get", "arguments": ${NASTY}}\n</tool_call>\n<tool_call>{"name":"now","arguments":{}}</tool_call>\n`,
        "Let me see.",
        ["get", NASTY],
        ["now", "{}"],
      ],
      [
        "a call in another spelling",
        `<tool_call>{"arguments": ${PARIS}, "name": "get"}</tool_call>`,
        "",
        ["get", '{"city":"Paris"}'],
      ],
      ["a call without arguments", '<tool_call>{"name": "now"}</tool_call>', "", ["now", "{}"]],
      [
        "arguments that are a string",
        '<tool_call>{"name": "get", "arguments": "{\\"a\\": 1}"}</tool_call>',
        "",
        ["get", '{"a": 1}'],
      ],
      ["a call whose end is missing", '<tool_call>{"name": "now"}', "", ["now", "{}"]],
      [
        "arguments that are cut off",
        `<tool_call>\n{"name": "get", "arguments": {"city": "Pa`,
        "",
        ["get", '{"city": "Pa'],
      ],
      [
        "what is no JSON",
        "a <tool_call>{nonsense}</tool_call> b",
        "a <tool_call>{nonsense}</tool_call> b",
      ],
      [
        "a function that is not there",
        '<tool_call>{"name": "rm", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "rm", "arguments": {}}</tool_call>',
      ],
      ["a tag that is cut off", "a <tool_ca", "a <tool_ca"],
      ["a head that is cut off", 'a\n<tool_call>\n{"name": "g', 'a\n<tool_call>\n{"name": "g'],
    ],
  ],
  [
    llama,
    [
      ["plain text", 'No. {"name": "get"', 'No. {"name": "get"'],
      ["a call", `{"name": "get_weather", "parameters": ${PARIS}}`, "", ["get_weather", PARIS]],
      ["tight JSON", '{"name":"get","parameters":{"a":1}}', "", ["get", '{"a":1}']],
      ["a type", `{"type": "function", "name": "get", "parameters": ${NASTY}}`, "", ["get", NASTY]],
      [
        "two calls",
        `{"name": "get", "parameters": ${NASTY}}; {"name": "now", "parameters": {}}`,
        "",
        ["get", NASTY],
        ["now", "{}"],
      ],
      ["wide JSON", '{\n  "name" : "get",\n  "parameters": {\n "a": 1}\n}', "", ["get", '{"a":1}']],
      ["a name alone", '{"name": "now"}', "", ["now", "{}"]],
      [
        "JSON that is no call",
        '{"name": "Ada", "parameters": 3}',
        '{"name": "Ada", "parameters": 3}',
      ],
      [
        "a call of something",
        '{"name": "get", "parameters": 3}',
        '{"name": "get", "parameters": 3}',
      ],
      ["a head that is cut off", '{"name": "get", "param', '{"name": "get", "param'],
      ["arguments that are cut off", '{"name": "get", "parameters": {"a', "", ["get", '{"a']],
    ],
  ],
  [
    pythonic,
    [
      ["plain text", "[1] says: get(x=1)", "[1] says: get(x=1)"],
      ["a call", '[get_weather(city="Paris")]', "", ["get_weather", PARIS]],
      ["no arguments", "[now()]", "", ["now", "{}"]],
      [
        "two calls of many kinds of values",
        "[get(a=1, b=-2.5e3, c=True, d=None, e=[1, 'x'], f={'k': (1, false)}), now()]",
        "",
        [
          "get",
          '{"a": 1, "b": -2.5e3, "c": true, "d": null, "e": [1, "x"], "f": {"k": [1, false]}}',
        ],
        ["now", "{}"],
      ],
      [
        "quotes and escapes",
        `[get(a='it\\'s "so"\\n', b="a\\\\b\\u00e9\\x41 \\d)", c='é, ]')]`,
        "",
        ["get", '{"a": "it\'s \\"so\\"\\n", "b": "a\\\\b\\u00e9\\u0041 \\\\d)", "c": "é, ]"}'],
      ],
      ["a dictionary", '[get(**{"a b": {"c": 1}})]', "", ["get", '{"a b": {"c": 1}}']],
      ["an empty dictionary", "[get(**{})]", "", ["get", "{}"]],
      ["a function that is not there", "[rm(a=1)]", "[rm(a=1)]"],
      ["a head that is cut off", "[get_w", "[get_w"],
      ["arguments that are cut off", '[get(a="x', "", ["get", '{"a": "x']],
    ],
  ],
];

for (const [format, cases] of CASES) {
  describe(`${format.name}: reads`, () => {
    test.each(cases.map((one) => [one[0], one] as const))(
      "%s",
      (what, [, text, content, ...calls]) => {
        const parse = (pieces: readonly string[]) => read(format.createParser(NAMES), pieces);
        const expected = { text: content, calls };
        expect(parse([text])).toEqual(expected);
        expect(parse([...text])).toEqual(expected);
        for (let at = 1; at < text.length; at++) {
          expect(parse([text.slice(0, at), text.slice(at)])).toEqual(expected);
          expect(parse([text.slice(0, at), "", ...text.slice(at)])).toEqual(expected);
        }
        for (const [, json] of calls) if (!what.includes("cut off")) JSON.parse(json);
      },
    );
  });
}
