/** Fields that tell a model of functions, and the calls of messages. */
import * as z from "zod/mini";
import type { Maybe } from "./maybe.ts";

export interface RequestTool {
  type: "function";
  function: {
    name: string;
    description?: Maybe<string>;
    /** A JSON Schema. */
    parameters?: Maybe<Record<string, unknown>>;
    strict?: Maybe<boolean>;
  };
}

interface NamedTool {
  type: "function";
  function: { name: string };
}

export type RequestToolChoice =
  | "none"
  | "auto"
  | "required"
  | NamedTool
  | { type: "allowed_tools"; allowed_tools: { mode: "auto" | "required"; tools: NamedTool[] } };

export interface RequestToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export interface ToolFields {
  tools?: Maybe<RequestTool[]>;
  /** Default: auto. */
  tool_choice?: Maybe<RequestToolChoice>;
  /** false: at most one call. */
  parallel_tool_calls?: Maybe<boolean>;
}

/** OpenAI's bound. */
const MAX_TOOLS = 128;

/** OpenAI's, with the dots that namespaces have. */
const toolName = z.string().check(z.minLength(1), z.maxLength(64), z.regex(/^[a-zA-Z0-9_.-]+$/));
const named: z.ZodMiniType<NamedTool> = z.object({
  type: z.literal("function"),
  function: z.object({ name: z.string() }),
});

const tool: z.ZodMiniType<RequestTool> = z.object({
  type: z.literal("function"),
  function: z.object({
    name: toolName,
    description: z.nullish(z.string()),
    parameters: z.nullish(z.record(z.string(), z.unknown())),
    strict: z.nullish(z.boolean()),
  }),
});

/** Shapes for `z.object`, to be spread. */
export const toolFields: {
  readonly [Field in keyof ToolFields]-?: z.ZodMiniType<ToolFields[Field]>;
} = {
  tools: z.nullish(z.array(tool).check(z.maxLength(MAX_TOOLS))),
  tool_choice: z.nullish(
    z.union([
      z.enum(["none", "auto", "required"]),
      named,
      z.object({
        type: z.literal("allowed_tools"),
        allowed_tools: z.object({
          mode: z.enum(["auto", "required"]),
          tools: z.array(named).check(z.minLength(1)),
        }),
      }),
    ]),
  ),
  parallel_tool_calls: z.nullish(z.boolean()),
};

/** In a message of the assistant's. */
export const toolCall: z.ZodMiniType<RequestToolCall> = z.object({
  id: z.string(),
  type: z.literal("function"),
  function: z.object({ name: z.string(), arguments: z.string() }),
});
