/** Which functions a request tells of, and which of them may or must be called. */
import { PronkError } from "../../errors.ts";
import type { Tool } from "../../tools/tool.ts";
import type { ToolChoice } from "../../tools/tool-grammar.ts";
import type { RequestToolChoice, ToolFields } from "../schemas/tools.ts";

/** @returns undefined where nothing may be called. @throws PronkError "bad_request". */
export function readTools(fields: ToolFields): ToolChoice | undefined {
  const tools = (fields.tools ?? []).map(({ function: given }, i) => {
    const { name, description, parameters, strict } = given;
    const where = `tools[${i}].function.parameters`;
    const tool: Tool = {
      name,
      ...(description == null ? {} : { description }),
      ...(parameters == null ? {} : { parameters }),
      ...(strict == null ? {} : { strict }),
    };
    return { ...tool, where };
  });
  for (const [i, { name }] of tools.entries()) {
    if (tools.findIndex((tool) => tool.name === name) < i) {
      throw bad(`tools[${i}].function.name`, `${name} is there twice`);
    }
  }
  const choice = fields.tool_choice ?? "auto";
  if (choice === "none") return undefined;
  const { callable, required, param } = allowedBy(choice);
  if (tools.length === 0) {
    if (choice === "auto") return undefined;
    throw bad("tool_choice", "there are no tools");
  }
  const names = tools.map(({ name }) => name);
  for (const name of callable ?? []) {
    if (!names.includes(name)) throw bad(param, `${name} is not among the tools`);
  }
  return {
    tools,
    callable: callable ?? names,
    required,
    parallel: fields.parallel_tool_calls ?? true,
  };
}

function allowedBy(choice: Exclude<RequestToolChoice, "none">): {
  readonly callable?: readonly string[];
  readonly required: boolean;
  readonly param: string;
} {
  const param = "tool_choice";
  if (typeof choice === "string") return { required: choice === "required", param };
  if (choice.type === "function") {
    return {
      callable: [choice.function.name],
      required: true,
      param: "tool_choice.function.name",
    };
  }
  const { mode, tools } = choice.allowed_tools;
  return {
    callable: tools.map(({ function: { name } }) => name),
    required: mode === "required",
    param: "tool_choice.allowed_tools.tools",
  };
}

function bad(param: string, why: string): PronkError {
  return new PronkError("bad_request", `${param}: ${why}`, { param });
}
