/** What `pronk`, `pronk help COMMAND` and --help show. */
import { DEFAULT_MODEL } from "../hub/known-models.ts";
import { COMMON_OPTIONS } from "./arguments.ts";
import type { Colors } from "./colors.ts";
import { COMMAND_GROUPS, type Command, type OptionSpecs } from "./command.ts";
import { twoColumns, wrapText } from "./wrap.ts";

export interface HelpStyle {
  readonly colors: Colors;
  /** Of the terminal. */
  readonly columns: number;
}

/** Longer lines are hard to read; narrower terminals than this wrap by themselves. */
const MAX_COLUMNS = 100;
const MIN_COLUMNS = 40;

/** Of the first column: longer names stand above what they mean. */
const MAX_NAME = 24;

/** The headings of options, in the order of the help; those of a command's own come first. */
const OPTIONS_HEADING = "Options";
const LAST_HEADING = "Always";

/** Commands that a newcomer needs, with a line to type. */
const FIRST_STEPS: readonly (readonly [command: string, line: string, does: string])[] = [
  ["chat", "pronk chat", "talk to a model; the first time 98 MB are fetched"],
  ["run", 'pronk run --chat "Hi"', "one answer, to stdout"],
  ["serve", "pronk serve", "OpenAI's API at http://127.0.0.1:8787/v1"],
  ["init", "pronk init my-app", "a project for a Worker, Deno, Bun or Node that runs"],
  ["deploy", "pronk deploy", "a model on Cloudflare Workers"],
  ["doctor", "pronk doctor", "what this machine can do, and what to change"],
  ["inspect", "pronk inspect", "what the default model is, and where it fits"],
];

/** How many of them are shown: what comes later stands in for what is not there. */
const FIRST_COUNT = 5;

export function helpText(command: Command, { colors, columns }: HelpStyle): string {
  const width = Math.max(MIN_COLUMNS, Math.min(MAX_COLUMNS, columns));
  const { bold } = colors;
  const takesModel = /MODEL|INPUT/.test(command.positionals);
  const usage = ["pronk", command.name, command.positionals, "[options]"].filter(Boolean).join(" ");
  const parts = [
    `${titled(`pronk ${command.name}`, command.summary, width, bold)}\n`,
    `${bold("Usage")}\n  ${usage}\n${takesModel ? modelNames(width) : ""}`,
  ];
  if (command.examples.length > 0) {
    const lines = command.examples.map(({ line, does }) => {
      const said = wrapText(does, width - 6).map((text) => `      ${text}\n`);
      return `  ${colors.cyan(line)}\n${said.join("")}`;
    });
    parts.push(
      `${bold(command.examples.length === 1 ? "Example" : "Examples")}\n${lines.join("")}`,
    );
  }
  const specs: OptionSpecs = { ...command.options, ...COMMON_OPTIONS };
  const rows = Object.entries(specs).map(
    ([name, { value, help, group = OPTIONS_HEADING, short }]) => {
      const letter = short === undefined ? "" : `-${short}, `;
      return { group, row: [`${letter}--${name}${value ? ` ${value}` : ""}`, help] as const };
    },
  );
  const named = rows.map(({ row: [name] }) => name.length).filter((length) => length <= MAX_NAME);
  const nameWidth = Math.max(...named);
  for (const heading of headings(rows.map(({ group }) => group))) {
    const own = rows.filter(({ group }) => group === heading).map(({ row }) => row);
    const text = twoColumns(own, { columns: width, nameWidth, paint: colors.cyan });
    parts.push(`${bold(heading)}\n${text}`);
  }
  return parts.join("\n");
}

/** What may stand where a model is wanted. */
function modelNames(width: number): string {
  const text = `A model is ${DEFAULT_MODEL} (the default), hf:OWNER/REPO[@REVISION][:FILE], a path (GGUF, pack, folder of a checkpoint), https://... or s3://BUCKET/PREFIX.`;
  return wrapText(text, width - 2)
    .map((line) => `  ${line}\n`)
    .join("");
}

/** `NAME: TEXT`, wrapped; painted only then. */
function titled(
  name: string,
  text: string,
  width: number,
  paint: (text: string) => string,
): string {
  const lines = wrapText(`${name}: ${text}`, width).join("\n");
  return paint(name) + lines.slice(name.length);
}

/** The command's own options, then the others as they come, then those of every command. */
function headings(groups: readonly string[]): string[] {
  const found = [...new Set([OPTIONS_HEADING, ...groups])].filter((group) =>
    groups.includes(group),
  );
  return [...found.filter((group) => group !== LAST_HEADING), LAST_HEADING];
}

/** @param commands all of them, in the order of the list */
export function overviewText(commands: readonly Command[], { colors, columns }: HelpStyle): string {
  const width = Math.max(MIN_COLUMNS, Math.min(MAX_COLUMNS, columns));
  const { bold, cyan } = colors;
  const about =
    "small quantized Llama models from WebAssembly, on this machine, Cloudflare Workers, Deno, Bun, Node and in pages, " +
    "behind an OpenAI-compatible API.";
  const names = commands.map(({ name }) => name);
  const steps = FIRST_STEPS.filter(([name]) => names.includes(name))
    .slice(0, FIRST_COUNT)
    .map(([, line, does]) => [line, does] as const);
  const table = (rows: readonly (readonly [string, string])[]): string =>
    twoColumns(rows, {
      columns: width,
      nameWidth: Math.max(...rows.map(([name]) => name.length)),
      paint: cyan,
    });
  const nameWidth = Math.max(...names.map((name) => name.length));
  const lists = COMMAND_GROUPS.map((group) => {
    const rows = commands
      .filter((command) => command.group === group)
      .map(({ name, summary }) => [name, summary] as const);
    return `${bold(group)}\n${twoColumns(rows, { columns: width, nameWidth, paint: cyan })}`;
  });
  return [
    `${titled("pronk", about, width, bold)}\n`,
    `${bold("Start here")}\n${table(steps)}`,
    ...lists,
    `${wrapText("pronk help COMMAND shows examples and options; pronk --version the version.", width).join("\n")}\n`,
  ].join("\n");
}
