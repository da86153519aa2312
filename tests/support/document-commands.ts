/**
 * The commands of the documents' shell blocks, and a ledger of what a test ran of them. What a document says cannot run
 * here (`# not run by tests: why`, behind a line, or before the lines of a block) is printed; all else has to be run.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { isElsewhere } from "./document-tests.ts";

export interface DocumentCommand {
  /** As it is typed, without the remark behind it; several lines while a quote is open. */
  readonly text: string;
  /** Of the document, from 1. */
  readonly line: number;
  /** Why no test runs it, as the document says. */
  readonly notRun: string | undefined;
}

const NOT_RUN = /#\s*not run by tests: (.+)$/;

/** @param file its path in the repository. */
export function documentCommands(file: string): DocumentCommand[] {
  return commandsIn(readFileSync(join(packageRoot(), file), "utf8"));
}

/** @param block the text of one shell block. */
export const commandsInShell = (block: string): DocumentCommand[] =>
  commandsIn(`\`\`\`sh\n${block}\n\`\`\``);

export function commandsIn(document: string): DocumentCommand[] {
  const commands: DocumentCommand[] = [];
  let isShell = false;
  let fence = "";
  let ofBlock: string | undefined;
  let open = "";
  let start = 0;
  for (const [i, line] of document.split("\n").entries()) {
    const [, mark = "", language = ""] = /^(`{3,}|~{3,})(\w*)/.exec(line) ?? [];
    if (fence === "") {
      if (mark === "") continue;
      fence = mark;
      isShell = language === "sh";
      ofBlock = undefined;
    } else if (mark.startsWith(fence) && language === "") {
      if (open !== "") throw new Error(`line ${start}: a command that does not end: ${open}`);
      fence = "";
    } else if (isShell) {
      if (open === "") start = i + 1;
      open = open === "" ? line : `${open}\n${line}`;
      const { end, isOpen } = scan(open);
      if (isOpen) continue;
      const [, why] = NOT_RUN.exec(open.slice(end)) ?? [];
      const text = open.slice(0, end).trim();
      if (text === "") ofBlock = why ?? ofBlock;
      else commands.push({ text, line: start, notRun: why ?? ofBlock });
      open = "";
    }
  }
  return commands;
}

/** As a shell reads: where the remark begins, and whether a quote or the line goes on. */
function scan(command: string): { end: number; isOpen: boolean } {
  let quote = "";
  for (let i = 0; i < command.length; i++) {
    const char = command[i] ?? "";
    if (quote !== "") {
      if (char === "\\" && quote === '"') i++;
      else if (char === quote) quote = "";
    } else if (char === "\\") {
      if (i === command.length - 1) return { end: command.length, isOpen: true };
      i++;
    } else if (char === "'" || char === '"') quote = char;
    else if (char === "#" && /^$|\s/.test(command[i - 1] ?? "")) return { end: i, isOpen: false };
  }
  return { end: command.length, isOpen: quote !== "" };
}

export interface OpenDocument {
  readonly file: string;
  /** Those that are to be run here, in their order. */
  readonly commands: readonly string[];
  readonly text: string;
  /** Says that a command was run. @throws when the document has no such command. */
  ran(command: string): void;
  /** The first command with that text in it, which is run. */
  take(part: string): string;
  /** Fails with the commands that were not run. */
  expectAllRan(): void;
}

/** For the test that runs a document's commands; commands of ELSEWHERE are not among them. */
export function openDocument(file: string): OpenDocument {
  const all = documentCommands(file);
  const commands = all
    .filter(({ text, notRun }) => notRun === undefined && !isElsewhere(text, file))
    .map(({ text }) => text);
  const left = [...commands];
  const ran = (command: string): void => {
    if (!commands.includes(command)) throw new Error(`${file}: it has no command ${command}`);
    for (let at = left.indexOf(command); at !== -1; at = left.indexOf(command)) left.splice(at, 1);
  };
  for (const { text, line, notRun } of all) {
    if (notRun !== undefined) console.log(`${file}:${line}: not run: ${text}: ${notRun}`);
  }
  return {
    file,
    commands,
    text: readFileSync(join(packageRoot(), file), "utf8"),
    ran,
    take(part) {
      const found = commands.find((command) => command.includes(part));
      if (found === undefined) throw new Error(`${file}: it has no command with ${part}`);
      ran(found);
      return found;
    },
    expectAllRan() {
      expect(left, `${file}: commands that no test ran`).toEqual([]);
    },
  };
}
