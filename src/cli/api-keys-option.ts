/** Who may use a server: --api-keys FILE, else the variable PRONK_API_KEYS. */
import { readFile } from "node:fs/promises";
import { PronkError } from "../errors.ts";
import { type AuthOptions, parseApiKeys } from "../server/app.ts";
import { textOption } from "./arguments.ts";
import type { Arguments, CliContext, OptionSpecs } from "./command.ts";

export const API_KEYS_OPTION: OptionSpecs = {
  "api-keys": {
    type: "string",
    value: "FILE",
    help: "keys, one a line, or a JSON list with names, models and limits; default: PRONK_API_KEYS",
    group: "Who may use it",
  },
};

/**
 * undefined where neither is there: anybody is let in.
 *
 * @throws PronkError "not_found"; "bad_request" for a file without keys, and as `parseApiKeys` does.
 */
export async function apiKeysOf(
  input: Arguments,
  { env }: Pick<CliContext, "env">,
): Promise<AuthOptions["keys"] | undefined> {
  const path = textOption(input, "api-keys");
  if (path === undefined) {
    return env.PRONK_API_KEYS === undefined ? undefined : parseApiKeys(env.PRONK_API_KEYS);
  }
  let text: string;
  try {
    text = (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw new PronkError("not_found", `${path}: cannot be read`, { cause });
  }
  if (text === "") throw new PronkError("bad_request", `${path}: there are no keys`);
  return parseApiKeys(text.startsWith("[") ? text : text.split(/\s*\n\s*/).join(","));
}
