/**
 * What was typed in chats, kept from one to the next: a JSON string a line, the oldest first, readable by its owner
 * alone. Several chats may append at once. What begins with a space is not kept, as in shells.
 *
 * Source: XDG Base Directory Specification 0.8, XDG_STATE_HOME: "actions history".
 */
import { appendFile, readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { makeFolder, writeFileAtomically } from "../../platform/host/atomic-file.ts";
import type { Environment } from "../../platform/host/cache-folder.ts";
import { HISTORY_LINES } from "../terminal/line-input.ts";

const OWNER_ONLY = 0o600;
const FOLDER_MODE = 0o700;

/** A message that is longer is not one that is typed again. */
const MAX_ENTRY_CHARS = 10_000;

/** Read whole at a start; beyond it the oldest go. */
const MAX_FILE_BYTES = 1_000_000;

export interface ChatHistory {
  /** The newest first. */
  readonly entries: readonly string[];
  /** Silent where the disk refuses: a chat goes on without it. */
  add(text: string): Promise<void>;
}

/** `pronk/chat-history` in the folder for state. */
export function historyPath(env: Environment): string {
  const xdg = env.XDG_STATE_HOME;
  // The specification: a relative path in the variable is to be ignored.
  const state = xdg?.startsWith("/") ? xdg : join(homedir(), ".local", "state");
  return join(state, "pronk", "chat-history");
}

export async function openChatHistory(path: string): Promise<ChatHistory> {
  const entries = await readEntries(path);
  let last = entries.at(-1);
  return {
    entries: entries.toReversed(),
    async add(text) {
      if (text.startsWith(" ") || text.length > MAX_ENTRY_CHARS || text === last) return;
      last = text;
      try {
        await makeFolder(dirname(path), FOLDER_MODE);
        await appendFile(path, `${JSON.stringify(text)}\n`, { mode: OWNER_ONLY });
      } catch {
        // A disk that is full or not ours.
      }
    },
  };
}

/** Of a file that has grown too long only the newest are left, also in it. */
async function readEntries(path: string): Promise<string[]> {
  const lines = (await readFile(path, "utf8").catch(() => "")).split("\n").filter(Boolean);
  const parsed = lines.map(parseEntry).filter((entry) => entry !== undefined);
  const entries = parsed.slice(-HISTORY_LINES);
  const bytes = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (lines.length > 2 * HISTORY_LINES || bytes > MAX_FILE_BYTES) {
    while (entries.reduce((sum, entry) => sum + entry.length, 0) > MAX_FILE_BYTES / 4) {
      entries.splice(0, Math.ceil(entries.length / 2));
    }
    const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    await writeFileAtomically(path, new TextEncoder().encode(text), { mode: OWNER_ONLY }).catch(
      () => undefined,
    );
  }
  return entries;
}

function parseEntry(line: string): string | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === "string" ? entry : undefined;
  } catch {
    return undefined; // cut off, as by a full disk
  }
}
