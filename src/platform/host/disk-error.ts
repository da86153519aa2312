/** What a disk refuses, as an error of this package: it is no bug, and people can do something about it. */
import { constants } from "node:os";
import { PronkError } from "../../errors.ts";

/** Of Node, and of the same modules on Deno and Bun. */
interface SystemError extends Error {
  readonly code?: string;
  readonly syscall?: string;
  readonly path?: string;
}

/** Deno has the code of some calls in the message alone: `No space left on device (os error 28)`. */
const NUMBERED = /^(.*) \(os error (\d+)\)/;

/** Whether the system said no, as to a full disk or a folder of somebody else's. */
export function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false;
  const { code, syscall } = error as Partial<SystemError>;
  return (typeof code === "string" && typeof syscall === "string") || NUMBERED.test(error.message);
}

/** `PATH: ENOSPC: no space left on device`; what is no error of the system's comes back as it is. */
export function diskError(path: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  return new PronkError("source_failed", `${path}: ${reasonOf(error)}`, { cause: error });
}

function reasonOf({ message, code = "" }: SystemError): string {
  const [, text = "", number] = NUMBERED.exec(message) ?? [];
  if (number !== undefined) {
    const name = Object.entries(constants.errno).find(([, value]) => value === Number(number))?.[0];
    return name === undefined ? text : `${name}: ${text.toLowerCase()}`;
  }
  // Behind the comma stand the call and the path.
  const [what = ""] = message.split(", ");
  return what.startsWith(code) ? what : `${code}: ${what}`;
}

/** @throws PronkError "source_failed" where the disk refuses. */
export async function onDisk<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw diskError(path, error);
  }
}
