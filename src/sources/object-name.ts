/** Names of objects in a folder: parts with `/` between them, as in keys, paths and URLs. */
import { PronkError } from "../errors.ts";

/**
 * The parts of a name that stays inside its folder.
 *
 * @throws PronkError "bad_request" on empty parts, `.`, `..`, a backslash or a NUL, which some
 *   storage would read as leading elsewhere.
 */
export function objectNameParts(folder: string, name: string): string[] {
  const parts = name.split("/");
  const wrong = (part: string): boolean => part === "" || part === "." || part === "..";
  if (parts.some(wrong) || /[\\\0]/.test(name)) {
    const shown = JSON.stringify(name).slice(0, 100);
    throw new PronkError("bad_request", `${folder}: ${shown} is not the name of an object in it`);
  }
  return parts;
}
