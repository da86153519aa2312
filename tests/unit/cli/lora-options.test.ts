import { describe, expect, test } from "vitest";
import { parseArguments } from "../../../src/cli/arguments.ts";
import type { Arguments, Command } from "../../../src/cli/command.ts";
import { adapterOptions, LORA_SERVE_OPTIONS, loraOptions } from "../../../src/cli/lora-options.ts";

const command: Command = {
  group: "Use a model",
  examples: [],
  name: "test",
  summary: "",
  positionals: "",
  maxPositionals: 0,
  options: LORA_SERVE_OPTIONS,
  run: async () => {},
};

const parse = (...argv: string[]): Arguments => parseArguments(command, argv);

describe("--lora", () => {
  test.each([
    ["./adapters/sql", "sql", "./adapters/sql", 1],
    ["./adapters/sql/", "sql", "./adapters/sql/", 1],
    ["tone=./a/b", "tone", "./a/b", 1],
    ["./sql:0.5", "sql", "./sql", 0.5],
    ["tone=./sql:-2", "tone", "./sql", -2],
    ["./sql:.5", "sql", "./sql", 0.5],
    ["hf:someone/sql-lora", "sql-lora", "hf:someone/sql-lora", 1],
    ["hf:someone/sql-lora@main:0.25", "sql-lora", "hf:someone/sql-lora@main", 0.25],
    ["x=hf:someone/sql:1", "x", "hf:someone/sql", 1],
    ["https://host:8080/a/sql?key=1", "sql", "https://host:8080/a/sql?key=1", 1],
    ["x=https://host:8080/a/sql?a=b:2", "x", "https://host:8080/a/sql?a=b", 2],
    ["C:\\adapters\\sql", "sql", "C:\\adapters\\sql", 1],
    ["./v1.2:latest", "v1.2-latest", "./v1.2:latest", 1],
  ])("%s is %s at %s times %d", (text, name, source, scale) => {
    expect(loraOptions(parse("--lora", text))).toEqual([{ name, source, scale }]);
  });

  test("may be given again, in order; without it there are no adapters", () => {
    const input = parse("--lora", "b=./x", "--lora", "./a:2");
    expect(loraOptions(input).map(({ name }) => name)).toEqual(["b", "a"]);
    expect(adapterOptions(input)).toEqual({
      adapters: { b: { source: "./x", scale: 1 }, a: { source: "./a", scale: 2 } },
      applyAdapters: true,
    });
    expect(adapterOptions(parse("--lora-init-without-apply"))).toEqual({
      adapters: {},
      applyAdapters: false,
    });
  });

  test.each([
    [["--lora", ""], "--lora : not of the form [NAME=]PATH[:SCALE]"],
    [["--lora", "/"], "--lora /: not of the form"],
    [["--lora", "a/x", "--lora", "b/x"], "two adapters called x; NAME=PATH gives one another name"],
  ])("%j is refused", (argv, message) => {
    expect(() => loraOptions(parse(...argv))).toThrow(message);
  });
});
