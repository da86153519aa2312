/** What tools change of a chat: its prompt, what its output may be, and how that is read. */
import type { Engine } from "../../engine/engine.ts";
import type { GrammarSpec } from "../../grammar/grammar-compiler.ts";
import type { Structure } from "../../grammar/structure.ts";
import type { ChatTemplate } from "../../templates/chat-template.ts";
import { type Conversation, type ToolMessage, toolConversation } from "../../tools/conversation.ts";
import { detectToolSupport } from "../../tools/detect-format.ts";
import { type ToolChoice, toolGrammar } from "../../tools/tool-grammar.ts";
import { RequestError } from "../errors.ts";
import type { AnswerHead, OutputReader } from "../job.ts";
import { checkGrammar } from "../output-format.ts";
import { createToolOutput } from "./tool-output.ts";

export interface ToolRun {
  readonly conversation: Conversation;
  /** undefined: what it would be without tools. */
  readonly grammar: GrammarSpec | undefined;
  readonly reader: ((head: AnswerHead, index: number) => OutputReader) | undefined;
}

/**
 * @param choice undefined where nothing may be called; the messages may hold calls all the same.
 * @param content what the output is where nothing is called; undefined: any text.
 * @throws PronkError "bad_request", RequestError "unsupported_schema", "unsupported_parameter".
 */
export function toolRun(
  template: ChatTemplate,
  messages: readonly ToolMessage[],
  choice: ToolChoice | undefined,
  content: GrammarSpec | undefined,
  engine: Pick<Engine, "checkGrammar">,
): ToolRun {
  const support = detectToolSupport(template);
  const conversation = toolConversation(support, messages, choice?.tools ?? []);
  if (choice === undefined) return { conversation, grammar: undefined, reader: undefined };
  const { format } = support;
  const grammar = toolGrammar(format, choice, structureOf(content));
  checkGrammar(grammar, "tools", engine);
  return {
    conversation,
    grammar,
    reader: ({ id }, index) => {
      const request = id.slice(id.indexOf("-") + 1);
      const idOf = (call: number): string => `call_${request}_${index}_${call}`;
      return createToolOutput(format.createParser(choice.callable), idOf, choice.required);
    },
  };
}

function structureOf(content: GrammarSpec | undefined): Structure | undefined {
  switch (content?.type) {
    case undefined:
      return undefined;
    case "json_schema":
      return { schema: content.schema, where: "response_format" };
    case "json_object":
      return { object: true };
    case "structure":
      return content.root;
    default: {
      const message = `tools: with a ${content?.type} for the answer, tool_choice has to be none`;
      throw new RequestError("unsupported_parameter", message, { param: "tools" });
    }
  }
}
