import { describe, expect, test } from "vitest";
import {
  bytesOption,
  choiceOption,
  integerOption,
  numberOption,
  parseArguments,
} from "../../../src/cli/arguments.ts";
import type { Arguments, Command } from "../../../src/cli/command.ts";

const command: Command = {
  group: "Use a model",
  examples: [],
  name: "try",
  summary: "try it",
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: {
    count: { type: "string", value: "N", help: "how many" },
    json: { type: "boolean", help: "as JSON" },
  },
  run: async () => {},
};

const given = (name: string, text: string): Arguments => ({
  positionals: [],
  values: { [name]: text },
});

test("options and positional arguments are told apart", () => {
  expect(parseArguments(command, ["model", "--count", "3", "--json"])).toMatchObject({
    positionals: ["model"],
    values: { count: "3", json: true },
  });
});

test.each([
  ["an unknown option", ["--fast"], "--fast"],
  ["an option without its value", ["--count"], "--count"],
  ["a flag with a value", ["--json=yes"], "--json"],
  ["too many arguments", ["a", "b"], "b"],
])("%s is wrong usage, and named", (_, argv, named) => {
  expect(() => parseArguments(command, argv)).toThrow(
    expect.objectContaining({ code: "bad_request", message: expect.stringContaining(named) }),
  );
});

test.each([
  [["--cuont", "3"], "unknown option --cuont; did you mean --count?"],
  [["--jsn"], "unknown option --jsn; did you mean --json?"],
  [["--wings"], "unknown option --wings"],
])("%j: what may be meant is asked", (argv, message) => {
  expect(() => parseArguments(command, argv)).toThrow(expect.objectContaining({ message }));
});

describe("sizes", () => {
  test.each([
    ["128MB", 128_000_000],
    ["16MiB", 16_777_216],
    ["1.5 GB", 1_500_000_000],
    ["2gib", 2 ** 31],
    ["1000", 1000],
  ])("%s", (text, bytes) => {
    expect(bytesOption(given("size", text), "size")).toBe(bytes);
  });

  test.each(["", "MB", "-1MB", "12 parsecs", "0", "1e9", "999999999999GiB"])("not %j", (text) => {
    expect(() => bytesOption(given("size", text), "size")).toThrow("--size");
  });
});

describe("numbers", () => {
  test.each(["", " ", "x", "NaN", "-1", "11", "Infinity"])("not %j from 0 to 10", (text) => {
    expect(() => numberOption(given("n", text), "n", 0, 10)).toThrow("0 to 10");
  });

  test("fractions are no integers", () => {
    expect(numberOption(given("n", "0.5"), "n", 0, 10)).toBe(0.5);
    expect(() => integerOption(given("n", "0.5"), "n", 0, 10)).toThrow("integer");
  });

  test("what is not given is undefined", () => {
    expect(integerOption({ positionals: [], values: {} }, "n", 0)).toBeUndefined();
  });
});

test("a choice is one of its words", () => {
  expect(choiceOption(given("kv", "int8"), "kv", ["int8", "f32"])).toBe("int8");
  expect(() => choiceOption(given("kv", "INT8"), "kv", ["int8", "f32"])).toThrow("int8, f32");
});
