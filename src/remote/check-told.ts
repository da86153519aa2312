/** What another side told, looked at before anybody relies on it: it may be of another version, or no engine at all. */
import { PronkError } from "../errors.ts";
import type { Told } from "./messages.ts";

/** @throws PronkError "bad_format" for what is no message of this protocol. */
export function checkTold(head: unknown): Told {
  const message = recordOf(head, "an answer");
  if ("description" in message) checkDescription(recordOf(message.description, "a description"));
  else if ("part" in message) {
    const { token, text } = recordOf(message.part, "a part");
    if (!Number.isInteger(token) || typeof text !== "string") throw bad("a part");
  } else if ("result" in message) {
    const { ids, text } = recordOf(message.result, "a result");
    if (!Array.isArray(ids) || typeof text !== "string") throw bad("a result");
  } else if ("vectors" in message) {
    if (!isLengths(message.vectors)) throw bad("vectors");
  } else if ("error" in message) {
    const { code, message: why } = recordOf(message.error, "an error");
    if (typeof code !== "string" || typeof why !== "string") throw bad("an error");
  } else if ("loading" in message) {
    if (typeof message.loading !== "number") throw bad("progress");
  } else if (!("value" in message || "bytes" in message || "pong" in message)) {
    throw bad("an answer");
  }
  if ("stats" in message) recordOf(message.stats, "counters");
  return message as unknown as Told;
}

function checkDescription({ info, adapters, snapshots, stats }: Record<string, unknown>): void {
  const { vocab, fingerprint } = recordOf(info, "a description");
  const areKnown = Number.isInteger(vocab) && typeof fingerprint === "string";
  const areLists = Array.isArray(adapters) && Array.isArray(snapshots);
  if (!areKnown || !areLists) throw bad("a description");
  recordOf(stats, "counters");
}

function isLengths(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => Number.isInteger(one) && one >= 0);
}

function recordOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw bad(what);
}

function bad(what: string): PronkError {
  return new PronkError("bad_format", `remote engine: ${what} that is none`);
}
