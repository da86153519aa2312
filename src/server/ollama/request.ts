/** Ollama's requests as bodies of chat requests. */
import type { Engine } from "../../engine/engine.ts";
import { RequestError } from "../errors.ts";
import type {
  OllamaChatRequest,
  OllamaGenerateRequest,
  OllamaMessage,
  OllamaOptions,
} from "./schemas.ts";

type Body = Readonly<Record<string, unknown>>;

/** What Ollama samples with where a request says nothing. */
const DEFAULTS = { temperature: 0.8, top_k: 40, top_p: 0.9, repetition_penalty: 1.1 };

/** Their names by ours, for errors. */
export const OLLAMA_NAMES: Readonly<Record<string, string>> = {
  temperature: "options.temperature",
  top_k: "options.top_k",
  top_p: "options.top_p",
  min_p: "options.min_p",
  typical_p: "options.typical_p",
  mirostat: "options.mirostat",
  seed: "options.seed",
  stop: "options.stop",
  repetition_penalty: "options.repeat_penalty",
  presence_penalty: "options.presence_penalty",
  frequency_penalty: "options.frequency_penalty",
  max_completion_tokens: "options.num_predict",
  response_format: "format",
};

/** The name that the server has for it: Ollama's clients may put a tag behind every name. */
export function modelOf({ info, adapters }: Engine, name: string): string {
  const names = [info.id, ...adapters.map((adapter) => adapter.name)];
  const bare = name.replace(/:latest$/, "");
  return !names.includes(name) && names.includes(bare) ? bare : name;
}

/** @throws RequestError "unsupported_parameter" by the field's name. */
export function chatBody(request: OllamaChatRequest, engine: Engine): Body {
  const messages = toMessages(request.messages ?? []);
  const { tools } = request;
  return { ...shared(request, engine), messages, ...(tools?.length ? { tools } : {}) };
}

/** @throws RequestError "unsupported_parameter" by the field's name. */
export function generateBody(request: OllamaGenerateRequest, engine: Engine): Body {
  const { prompt, system, raw } = request;
  if (request.images?.length) throw unsupported("images");
  if (request.suffix) throw unsupported("suffix");
  if (request.template) throw unsupported("template");
  if (request.context?.length) throw unsupported("context");
  if (raw === true) return shared(request, engine);
  const messages = [
    ...(system ? [{ role: "system", content: system }] : []),
    { role: "user", content: prompt ?? "" },
  ];
  return { ...shared(request, engine), messages };
}

function shared(
  { model, format, options, think, logprobs, top_logprobs }: OllamaChatRequest,
  engine: Engine,
): Body {
  if (think) throw unsupported("think", "the model does not support thinking");
  return {
    ...DEFAULTS,
    ...withoutNull(sampling(options ?? {})),
    model: modelOf(engine, model),
    ...withoutNull({ logprobs: logprobs || top_logprobs ? true : undefined, top_logprobs }),
    ...formatOf(format ?? undefined),
  };
}

function sampling(options: OllamaOptions): Body {
  const { num_predict, seed, repeat_penalty, repeat_last_n, tfs_z, mirostat, typical_p } = options;
  if (tfs_z != null && tfs_z !== 1) throw unsupported("options.tfs_z");
  const { temperature, top_k, top_p, min_p, stop, presence_penalty, frequency_penalty } = options;
  return {
    temperature,
    top_k,
    top_p,
    min_p,
    stop,
    presence_penalty,
    frequency_penalty,
    typical_p,
    mirostat,
    seed: seed == null || seed < 0 ? undefined : seed,
    max_completion_tokens: num_predict == null || num_predict < 0 ? undefined : num_predict,
    repetition_penalty: repeat_last_n === 0 ? 1 : repeat_penalty,
  };
}

function formatOf(format: string | Record<string, unknown> | undefined): Body {
  if (format === undefined || format === "") return {};
  if (format === "json") return { response_format: { type: "json_object" } };
  if (typeof format === "string") throw unsupported("format", `"${format.slice(0, 40)}"`);
  return {
    response_format: { type: "json_schema", json_schema: { name: "format", schema: format } },
  };
}

/** Calls have no ids here: results belong to the calls before them, by name, else in their order. */
function toMessages(messages: readonly OllamaMessage[]): Body[] {
  let open: { id: string; name: string }[] = [];
  return messages.map((message, i) => {
    const { role, content, images, tool_calls } = message;
    if (images?.length) throw unsupported(`messages[${i}].images`);
    if (role === "tool") {
      const { tool_name, tool_call_id } = message;
      const named = open.findIndex(({ id, name }) => id === tool_call_id || name === tool_name);
      const [call] = open.splice(Math.max(named, 0), 1);
      const id = call?.id ?? tool_call_id ?? `call_${i}`;
      return {
        role,
        tool_call_id: id,
        ...withoutNull({ name: tool_name }),
        content: content ?? "",
      };
    }
    if (role !== "assistant" || !tool_calls?.length) return { role, content: content ?? "" };
    const calls = tool_calls.map((call, j) => ({ ...call, id: call.id ?? `call_${i}_${j}` }));
    open = calls.map(({ id, function: { name } }) => ({ id, name }));
    return {
      role,
      content: content || null,
      tool_calls: calls.map(({ id, function: { name, arguments: given } }) => ({
        id,
        type: "function",
        function: { name, arguments: JSON.stringify(given ?? {}) },
      })),
    };
  });
}

function withoutNull(fields: Body): Body {
  return Object.fromEntries(
    Object.entries(fields).filter(([, v]) => v !== undefined && v !== null),
  );
}

function unsupported(param: string, what = "not supported by this server"): RequestError {
  return new RequestError("unsupported_parameter", `${param}: ${what}`, { param });
}
