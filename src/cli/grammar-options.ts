/** What an output has to be, as options of commands. */
import { readFile } from "node:fs/promises";
import { PronkError } from "../errors.ts";
import type { GrammarSpec } from "../grammar/grammar-compiler.ts";
import { optionGroup, textOption, UsageError } from "./arguments.ts";
import type { Arguments, OptionSpecs } from "./command.ts";

export const GRAMMAR_OPTIONS: OptionSpecs = optionGroup("Form of the answer", {
  "json-schema": {
    type: "string",
    value: "FILE",
    help: "the output is JSON that is valid under this schema",
  },
  grammar: { type: "string", value: "FILE", help: "the output is of this grammar (GBNF)" },
  regex: { type: "string", value: "R", help: "all of the output matches this regular expression" },
});

/** @throws UsageError on more than one; PronkError "not_found", "bad_request" on a file. */
export async function grammarOf(input: Arguments): Promise<GrammarSpec | undefined> {
  const schema = textOption(input, "json-schema");
  const gbnf = textOption(input, "grammar");
  const pattern = textOption(input, "regex");
  if ([schema, gbnf, pattern].filter((one) => one !== undefined).length > 1) {
    throw new UsageError(
      "only one of --json-schema, --grammar and --regex says what the output is",
    );
  }
  if (schema !== undefined) {
    try {
      return { type: "json_schema", schema: JSON.parse(await readText(schema)) };
    } catch (cause) {
      if (cause instanceof PronkError) throw cause;
      throw new PronkError("bad_request", `${schema}: no JSON`, { cause });
    }
  }
  if (gbnf !== undefined) return { type: "gbnf", source: await readText(gbnf) };
  return pattern === undefined ? undefined : { type: "regex", pattern };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new PronkError("not_found", `${path}: cannot be read`, { cause });
  }
}
