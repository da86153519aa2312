/** Errors of a translated request, by the names of the fields that were translated. */
import { PronkError } from "../errors.ts";
import { RequestError } from "./errors.ts";

/**
 * The same error about the field that the client wrote; the error itself where it names none of `names`.
 *
 * @param names the client's names by ours: `{ stop: "stop_sequences" }`.
 */
export function renamedError(error: unknown, names: Readonly<Record<string, string>>): unknown {
  if (!(error instanceof PronkError) || error.param === undefined) return error;
  const found = Object.keys(names).find((name) => isOf(error.param ?? "", name));
  if (found === undefined) return error;
  const rename = (text: string): string =>
    isOf(text, found) ? `${names[found]}${text.slice(found.length)}` : text;
  const message = rename(error.message);
  const options = { cause: error.cause, param: rename(error.param) };
  if (error instanceof RequestError) return new RequestError(error.reply, message, options);
  return new PronkError(error.code, message, options);
}

/** `stop`, `stop[1]: …` and `stop.x` are of `stop`; `stopped` is not. */
function isOf(text: string, name: string): boolean {
  return text.startsWith(name) && !/[\w-]/.test(text.charAt(name.length));
}
