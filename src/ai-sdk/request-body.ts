/** A call of the AI SDK as the body of a chat request. */
import type { LanguageModelV3CallOptions, SharedV3Warning } from "@ai-sdk/provider";
import { toMessages } from "./prompt.ts";

export interface RequestBody {
  readonly body: Readonly<Record<string, unknown>>;
  /** What was asked for and is left out. */
  readonly warnings: readonly SharedV3Warning[];
}

/** Fields of the HTTP API that the AI SDK has no name for: taken from providerOptions.pronk. */
const OWN_FIELDS = new Set([
  "min_p",
  "typical_p",
  "repetition_penalty",
  "logit_bias",
  "logprobs",
  "top_logprobs",
  "grammar",
  "guided_regex",
  "guided_choice",
  "guided_grammar",
  "structured_outputs",
  "lora",
  "ignore_eos",
  "cache_salt",
  "prediction",
  "parallel_tool_calls",
]);

/** @throws PronkError "unsupported" for files in the prompt. */
export function requestBody(modelId: string, options: LanguageModelV3CallOptions): RequestBody {
  const warnings: SharedV3Warning[] = [];
  const body = {
    ...ownFields(options.providerOptions?.pronk ?? {}, warnings),
    model: modelId,
    messages: toMessages(options.prompt, warnings),
    max_completion_tokens: options.maxOutputTokens,
    temperature: options.temperature,
    top_p: options.topP,
    top_k: options.topK,
    presence_penalty: options.presencePenalty,
    frequency_penalty: options.frequencyPenalty,
    stop: options.stopSequences,
    seed: options.seed,
    response_format: responseFormat(options.responseFormat),
    ...toolFields(options, warnings),
  };
  const given = Object.entries(body).filter(([, value]) => value !== undefined);
  return { body: Object.fromEntries(given), warnings };
}

function ownFields(
  fields: Readonly<Record<string, unknown>>,
  warnings: SharedV3Warning[],
): Record<string, unknown> {
  const known = Object.entries(fields).filter(([key]) => {
    if (OWN_FIELDS.has(key)) return true;
    warnings.push({ type: "unsupported", feature: `providerOptions.pronk.${key}` });
    return false;
  });
  return Object.fromEntries(known);
}

function responseFormat(format: LanguageModelV3CallOptions["responseFormat"]): unknown {
  if (format?.type !== "json") return undefined;
  if (format.schema === undefined) return { type: "json_object" };
  const { schema, name = "response", description } = format;
  return { type: "json_schema", json_schema: { name, description, schema, strict: true } };
}

function toolFields(
  { tools, toolChoice }: LanguageModelV3CallOptions,
  warnings: SharedV3Warning[],
): Record<string, unknown> {
  const functions = (tools ?? []).flatMap((tool) => {
    if (tool.type === "provider") {
      warnings.push({ type: "unsupported", feature: `provider-defined tool ${tool.id}` });
      return [];
    }
    if (tool.inputExamples?.length) {
      warnings.push({ type: "unsupported", feature: `inputExamples of tool ${tool.name}` });
    }
    const { name, description, inputSchema: parameters, strict } = tool;
    return [{ type: "function", function: { name, description, parameters, strict } }];
  });
  if (functions.length === 0) return {};
  return { tools: functions, tool_choice: choice(toolChoice) };
}

function choice(toolChoice: LanguageModelV3CallOptions["toolChoice"]): unknown {
  if (toolChoice?.type !== "tool") return toolChoice?.type;
  return { type: "function", function: { name: toolChoice.toolName } };
}
