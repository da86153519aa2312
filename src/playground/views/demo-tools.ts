/** Functions that a model may call here: they run in the page, and touch nothing. */
import type { LlmRequest } from "../engine.ts";
import { calculate } from "./calculate.ts";

type RequestTool = NonNullable<LlmRequest["tools"]>[number];

interface DemoTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** @returns what the model is told. @throws Error with what it is told of why not. */
  run(given: Readonly<Record<string, unknown>>): string;
}

/** A text that a call may give, at most. */
const MAX_CHARACTERS = 200;

/** What the clock knows; a model picks from names that it has read better than from those of time zones. */
const TIME_ZONES: Readonly<Record<string, string>> = {
  London: "Europe/London",
  "New York": "America/New_York",
  Tokyo: "Asia/Tokyo",
  Zurich: "Europe/Zurich",
};

export const DEMO_TOOLS: readonly DemoTool[] = [
  {
    name: "current_time",
    description: "Tells the date and the time of day in a city.",
    parameters: {
      type: "object",
      properties: { city: { enum: Object.keys(TIME_ZONES) } },
      required: ["city"],
      additionalProperties: false,
    },
    run: ({ city }) => {
      const name = textOf(city, "city");
      const timeZone = Object.hasOwn(TIME_ZONES, name) ? TIME_ZONES[name] : undefined;
      if (timeZone === undefined) throw new Error(`no city ${name} is known`);
      return new Date().toLocaleString("en-GB", {
        timeZone,
        dateStyle: "full",
        timeStyle: "short",
      });
    },
  },
  {
    name: "calculate",
    description: "Works out an arithmetic expression, such as (3 + 4) * 12.",
    parameters: {
      type: "object",
      properties: { expression: { type: "string", pattern: "^[0-9(][0-9+*/() -]{0,40}$" } },
      required: ["expression"],
      additionalProperties: false,
    },
    // With the question in it, small models repeat the result instead of thinking about it again.
    run: ({ expression }) => {
      const text = textOf(expression, "expression");
      return `${text} = ${calculate(text)}`;
    },
  },
  {
    name: "count_letters",
    description: "Counts how often a letter occurs in a word.",
    parameters: {
      type: "object",
      properties: {
        word: { type: "string", pattern: "^[A-Za-z]{1,30}$" },
        letter: { type: "string", pattern: "^[A-Za-z]$" },
      },
      required: ["word", "letter"],
      additionalProperties: false,
    },
    run: ({ word, letter }) => {
      const wanted = textOf(letter, "letter").toLowerCase();
      return String([...textOf(word, "word").toLowerCase()].filter((one) => one === wanted).length);
    },
  },
];

/** As a request has them. */
export const REQUEST_TOOLS: RequestTool[] = DEMO_TOOLS.map(({ name, description, parameters }) => ({
  type: "function",
  function: { name, description, parameters: { ...parameters } },
}));

/** What a call comes to, as the text that goes back to the model; a failure is one, too. */
export function runDemoTool(name: string, json: string): string {
  const tool = DEMO_TOOLS.find((known) => known.name === name);
  if (tool === undefined) return `error: there is no ${name}`;
  try {
    const given: unknown = JSON.parse(json);
    if (typeof given !== "object" || given === null) throw new Error("the arguments are no object");
    return tool.run(given as Record<string, unknown>);
  } catch (error) {
    return `error: ${(error as Error).message}`;
  }
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== "string") throw new Error(`${name} is no text`);
  if (value.length > MAX_CHARACTERS) throw new Error(`${name} is too long`);
  return value;
}
