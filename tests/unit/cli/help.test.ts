import { describe, expect, test } from "vitest";
import { PLAIN, wantsColors } from "../../../src/cli/colors.ts";
import type { Command } from "../../../src/cli/command.ts";
import { COMMAND_GROUPS } from "../../../src/cli/command.ts";
import { allCommands } from "../../../src/cli/commands.ts";
import { helpText, overviewText } from "../../../src/cli/help.ts";
import { nearestName } from "../../../src/cli/nearest.ts";
import { pronk } from "./fake-cli.ts";

const command: Command = {
  name: "try",
  group: "Use a model",
  summary: "try it",
  examples: [{ line: "pronk try model.gguf --count 3", does: "tries it three times" }],
  positionals: "[MODEL]",
  maxPositionals: 1,
  options: {
    count: { type: "string", value: "N", help: "how many" },
    warm: { type: "boolean", help: `${"very ".repeat(30)}warm`, group: "Speed" },
    "a-name-that-is-longer-than-others": { type: "boolean", help: "long", group: "Speed" },
  },
  run: async () => {},
};

const commands = await allCommands();

test("a command's help has its usage, examples, and options with their values under headings", () => {
  const help = helpText(command, { colors: PLAIN, columns: 80 });
  expect(help).toContain("Usage\n  pronk try [MODEL] [options]\n  A model is smollm2");
  expect(help).toContain("Example\n  pronk try model.gguf --count 3\n      tries it three times\n");
  expect(help).toMatch(/\nOptions\n {2}--count N +how many\n\nSpeed\n {2}--warm +very/);
  expect(help).toMatch(/ {2}--a-name-that-is-longer-than-others\n +long\n/);
  expect(help).toMatch(/\nAlways\n {2}-q, --quiet +.*\n {2}-h, --help +.*\n$/);
});

test.each([40, 60, 80, 100])("help and list wrap at %i columns", (columns) => {
  const style = { colors: PLAIN, columns };
  const texts = [overviewText(commands, style), ...commands.map((one) => helpText(one, style))];
  for (const text of texts) {
    // Lines to type are not broken, nor is a name of an option, nor a word.
    const prose = text.split("\n").filter((line) => !/^ {2}(?:pronk|echo|-)|^ *\S+$/.test(line));
    for (const line of prose) expect(line.length, line).toBeLessThanOrEqual(columns);
  }
});

test("pronk alone says what it is, the five lines to begin with, and every command in a group", async () => {
  const { out, code } = await pronk([]);
  expect(code).toBe(0);
  const [start = ""] = /Start here\n(?: {2}.*\n)+/.exec(out) ?? [];
  expect(start.match(/^ {2}pronk /gm)?.length).toBe(5);
  for (const group of COMMAND_GROUPS) expect(out).toContain(`\n${group}\n`);
  for (const { name, summary } of commands) {
    expect(out).toMatch(new RegExp(`^ {2}${name} +${summary.slice(0, 20)}`, "m"));
  }
});

test("pronk help COMMAND, COMMAND --help and COMMAND -h show the same", async () => {
  const { out } = await pronk(["help", "run"]);
  expect(out).toContain("pronk run: generate");
  expect((await pronk(["run", "--help"])).out).toBe(out);
  expect((await pronk(["run", "-h"])).out).toBe(out);
});

test("every command has an example that begins with its own name, or pipes into it", () => {
  for (const { name, examples } of commands) {
    expect(examples.length, name).toBeGreaterThan(0);
    expect(examples[0].line).toMatch(new RegExp(`(?:^|\\\\| )pronk ${name}(?: |$)`));
  }
});

test.each([
  ["rnu", "run"],
  ["serv", "serve"],
  ["insepct", "inspect"],
  ["token", "tokenize"],
  ["fly", undefined],
  ["constructor", undefined],
])("%s: the nearest command is %s", async (typed, meant) => {
  expect(
    nearestName(
      typed,
      commands.map(({ name }) => name),
    ),
  ).toBe(meant);
  const { err } = await pronk([typed]);
  expect(err.includes("did you mean")).toBe(meant !== undefined);
});

describe("colours", () => {
  test.each([
    ["on a terminal", {}, true, true],
    ["nowhere else", {}, false, false],
    ["not with NO_COLOR", { NO_COLOR: "1" }, true, false],
    ["with an empty NO_COLOR", { NO_COLOR: "" }, true, true],
    ["not on a dumb terminal", { TERM: "dumb" }, true, false],
    ["anywhere with FORCE_COLOR", { FORCE_COLOR: "1", TERM: "dumb" }, false, true],
    ["with FORCE_COLOR beside NO_COLOR", { FORCE_COLOR: "1", NO_COLOR: "1" }, false, true],
    ["not with FORCE_COLOR=0", { FORCE_COLOR: "0" }, true, false],
  ])("%s", (_, env, isTerminal, wanted) => {
    expect(wantsColors(env, isTerminal)).toBe(wanted);
  });
});
