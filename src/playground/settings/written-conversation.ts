/** A conversation as a file: for people, and for programs. */
import type { LlmRequest } from "../engine.ts";
import type { Message } from "../state/conversation.ts";

export function toMarkdown(path: readonly Message[]): string {
  const said = path.map(
    ({ role, text }) => `## ${role === "user" ? "You" : "Answer"}\n\n${text}\n`,
  );
  return said.join("\n");
}

/** The body that goes on from here. */
export function toJson(request: LlmRequest): string {
  return `${JSON.stringify(request, undefined, 2)}\n`;
}
