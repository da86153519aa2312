/** Command lines to values; what was typed wrongly is a UsageError, exit code 2. */
import { PronkError } from "../errors.ts";
import type { Arguments, Command, OptionSpecs } from "./command.ts";
import { nearestName } from "./nearest.ts";

// An import makes Node 24 load all that the module could give, which takes it 7 ms.
const { parseArgs } = process.getBuiltinModule?.("node:util") ?? (await import("node:util"));

/** The command line is wrong; the message says where. */
export class UsageError extends PronkError {
  constructor(message: string) {
    super("bad_request", message);
  }
}

/** Of every command. */
export const COMMON_OPTIONS: OptionSpecs = {
  quiet: {
    type: "boolean",
    short: "q",
    help: "nothing on stderr but errors: no progress, no remarks",
    group: "Always",
  },
  help: { type: "boolean", short: "h", help: "show this help", group: "Always" },
};

/** Options under a heading of the help. */
export function optionGroup(group: string, specs: OptionSpecs): OptionSpecs {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, { group, ...spec }]),
  );
}

/** @throws UsageError */
export function parseArguments(command: Command, argv: readonly string[]): Arguments {
  const specs: OptionSpecs = { ...command.options, ...COMMON_OPTIONS };
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { type, multiple = false, short }]) => [
      name,
      { type, multiple, ...(short && { short }) },
    ]),
  );
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(slipOf(error as Error & { code?: string }, Object.keys(specs)));
  }
  const values = parsed.values as Arguments["values"];
  if (!values.help && parsed.positionals.length > command.maxPositionals) {
    throw new UsageError(`unexpected argument ${parsed.positionals[command.maxPositionals]}`);
  }
  return { positionals: parsed.positionals, values };
}

/** What parseArgs found, in fewer words; an unknown option with the one that may be meant. */
function slipOf({ code, message }: Error & { code?: string }, names: readonly string[]): string {
  const [first] = message.split(". To specify");
  const [, option] = /'(--?[^']+)'/.exec(first) ?? [];
  if (code !== "ERR_PARSE_ARGS_UNKNOWN_OPTION" || option === undefined) return first;
  const meant = nearestName(option.replace(/^-+/, ""), names);
  return `unknown option ${option}${meant === undefined ? "" : `; did you mean --${meant}?`}`;
}

export function textOption({ values }: Arguments, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

/** Every value of an option that may be given several times. */
export function textsOption({ values }: Arguments, name: string): readonly string[] {
  const found = values[name];
  return Array.isArray(found) ? found : [];
}

export function flagOption({ values }: Arguments, name: string): boolean {
  return values[name] === true;
}

/** @throws UsageError unless the value is a number in [min, max]. */
export function numberOption(
  input: Arguments,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const text = textOption(input, name);
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!(value >= min && value <= max)) {
    throw new UsageError(`--${name} ${text}: not a number from ${min} to ${max}`);
  }
  return value;
}

/** @throws UsageError unless the value is an integer in [min, max]. */
export function integerOption(
  input: Arguments,
  name: string,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const value = numberOption(input, name, min, max);
  if (value !== undefined && !Number.isInteger(value)) {
    throw new UsageError(`--${name} ${value}: not an integer`);
  }
  return value;
}

/** @throws UsageError unless the value is one of these. */
export function choiceOption<Choice extends string>(
  input: Arguments,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = textOption(input, name);
  if (text === undefined) return undefined;
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new UsageError(`--${name} ${text}: one of ${choices.join(", ")}`);
  return found;
}

const UNITS = { "": 1, KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };

/** `128MB`, `16MiB`, `1000`. @throws UsageError */
export function bytesOption(input: Arguments, name: string): number | undefined {
  const text = textOption(input, name);
  if (text === undefined) return undefined;
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)\s*([KMG]i?B)?$/i.exec(text) ?? [];
  const bytes = Number(amount) * UNITS[unit.toUpperCase() as keyof typeof UNITS];
  if (!(bytes >= 1) || bytes > Number.MAX_SAFE_INTEGER) {
    throw new UsageError(`--${name} ${text}: not a size such as 128MB or 16MiB`);
  }
  return Math.floor(bytes);
}
