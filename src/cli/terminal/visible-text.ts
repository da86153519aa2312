/** Texts of others on a terminal: what a model says may have been put into its mouth. */
import type { CliContext } from "../command.ts";

/** Control characters but for line feeds and tabs: they move the cursor, set titles, write to the clipboard. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
const COMMANDS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** The text with a sign of its own in place of what would command the terminal. */
export function visibleText(text: string): string {
  return text.replace(COMMANDS, "\ufffd");
}

/** A piece of an answer as stdout takes it: in a file or a pipe as the model wrote it. */
export function answerText(piece: string, cli: Pick<CliContext, "isOutTerminal">): string {
  return cli.isOutTerminal ? visibleText(piece) : piece;
}

/** A document as a line of --json, safe as the others: JSON itself escapes only what is below U+0020. */
export function jsonLine(document: unknown): string {
  const json = JSON.stringify(document);
  return `${json.replace(/[\u007f-\u009f]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)}\n`;
}
