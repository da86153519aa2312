/** The commands of a chat: what they are called, what they do by example, and what Tab makes of their beginnings. */
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CHAT_DEFAULTS } from "../generation-flags.ts";
import { twoColumns, wrapText } from "../wrap.ts";

interface ChatCommand {
  /** The first is its own, the others are as good. */
  readonly names: readonly string[];
  /** As one types it. */
  readonly example: string;
  readonly does: string;
  /** What may stand behind it. */
  readonly completes?: "settings" | "files" | "examples" | "switch";
}

export const CHAT_COMMANDS: readonly ChatCommand[] = [
  { names: ["help"], example: "/help", does: "this list" },
  {
    names: ["system"],
    example: "/system You are terse.",
    does: "begin anew with this system message; without a text, show it",
  },
  { names: ["retry", "regen"], example: "/retry", does: "answer the last message again" },
  { names: ["undo"], example: "/undo", does: "take the last message and its answer back" },
  { names: ["clear"], example: "/clear", does: "begin anew; system message and settings stay" },
  { names: ["reset"], example: "/reset", does: "begin anew, all as it was at the start" },
  {
    names: ["set"],
    example: "/set temperature=0.7 top_k=40",
    does: "change settings; without any, show them",
    completes: "settings",
  },
  {
    names: ["stats", "status"],
    example: "/stats on",
    does: "figures behind each answer (off: no more); alone: of the last one",
    completes: "switch",
  },
  {
    names: ["save"],
    example: "/save talk.json",
    does: "write the conversation",
    completes: "files",
  },
  {
    names: ["load"],
    example: "/load talk.json",
    does: "go on with a saved one",
    completes: "files",
  },
  {
    names: ["example"],
    example: "/example llama",
    does: "send an example; without a name, list them",
    completes: "examples",
  },
  { names: ["quit", "exit"], example: "/quit", does: "leave, as Ctrl+D does" },
];

const EXAMPLE_CHARS = 32;

const TYPING =
  'A line that ends in \\ goes on in the next one, and so does what begins with """ up to """; what is pasted is one message. ' +
  "// at the beginning sends a line that begins with /. Up, down and Ctrl+R find what was typed, Tab completes, Ctrl+C " +
  "stops an answer, twice leaves.";

/** @param columns of the terminal. */
export function chatHelp(columns: number): string {
  const rows = CHAT_COMMANDS.map(({ example, does }) => [example, does] as const);
  const style = { columns, nameWidth: EXAMPLE_CHARS, paint: (text: string) => text };
  const typing = wrapText(TYPING, columns - 2).map((line) => `  ${line}\n`);
  return `${twoColumns(rows, style)}\n${typing.join("")}`;
}

/** The command that a name or another name of it means. */
export function chatCommand(name: string): string | undefined {
  return CHAT_COMMANDS.find(({ names }) => names.includes(name))?.names[0];
}

/** For Tab: what a line can be that begins so. */
export function completeChat(line: string, examples: readonly string[]): string[] {
  const [, name = "", space = "", rest = ""] = /^[/!](\S*)(\s*)(.*)$/s.exec(line) ?? [];
  if (!/^[/!]/.test(line)) return [];
  const mark = line[0];
  if (space === "") {
    const names = CHAT_COMMANDS.flatMap((command) => command.names);
    return names.filter((one) => one.startsWith(name)).map((one) => `${mark}${one} `);
  }
  const { completes } = CHAT_COMMANDS.find(({ names }) => names.includes(name)) ?? {};
  const [, before = "", word = ""] = /^(.*\s)?(\S*)$/s.exec(rest) ?? [];
  const head = `${mark}${name}${space}${before}`;
  const found = (words: readonly string[]): string[] =>
    words.filter((one) => one.startsWith(word)).map((one) => head + one);
  if (completes === "settings") return found(Object.keys(CHAT_DEFAULTS).map((one) => `${one}=`));
  if (completes === "examples") return found(examples);
  if (completes === "switch") return found(["on", "off"]);
  return completes === "files" ? found(filesLike(word)) : [];
}

/** Folders end in a slash, so that the next Tab looks into them. */
function filesLike(path: string): string[] {
  const folder = path.endsWith("/") ? path : dirname(path);
  const start = path.endsWith("/") ? "" : basename(path);
  const isBare = folder === "." && !path.startsWith("./");
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(({ name }) => name.startsWith(start) && (start !== "" || !name.startsWith(".")))
      .map((entry) => {
        const name = entry.isDirectory() ? `${entry.name}/` : entry.name;
        const shown = isBare ? name : join(folder, name);
        return path.startsWith("./") && !shown.startsWith("./") ? `./${shown}` : shown;
      });
  } catch {
    return [];
  }
}
