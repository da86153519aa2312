/** A chat request's body as a job: what /v1/chat/completions runs, and every API that is put on top of it. */
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { selectModel } from "./adapters.ts";
import { toChatMessages } from "./chat-messages.ts";
import { encodeChat, systemLength } from "./chat-prompt.ts";
import type { Limits } from "./context.ts";
import type { AnswerShape, Job } from "./job.ts";
import { checkChoices, checkPrompt } from "./limits.ts";
import { chatLogprobs } from "./logprobs.ts";
import { toSampling } from "./sampling.ts";
import { type ChatRequest, chatRequest, promptRequest } from "./schemas/chat.ts";
import { readTools } from "./tools/read-tools.ts";
import type { ToolRun } from "./tools/tool-run.ts";
import { refuseUnsupportedInChat } from "./unsupported.ts";
import { validate } from "./validate.ts";

const SHAPE: AnswerShape = {
  idPrefix: "chatcmpl-",
  object: "chat.completion",
  chunkObject: "chat.completion.chunk",
  whole: (content) => ({ message: { role: "assistant", content, refusal: null } }),
  opening: { delta: { role: "assistant", content: "" } },
  piece: (content) => ({ delta: { content } }),
  closing: { delta: {} },
};

function withoutTools(messages: ToolRun["conversation"]["messages"]): ToolRun {
  return { conversation: { messages, tools: undefined }, grammar: undefined, reader: undefined };
}

/**
 * @param engineOf asked for only when the body is sound.
 * @throws PronkError, RequestError: what is wrong with the body, by the name of its field.
 */
export async function chatJob(
  body: Readonly<Record<string, unknown>>,
  engineOf: () => Promise<Engine> | Engine,
  limits: Limits,
): Promise<Job> {
  const request = validate(chatRequest, body);
  refuseUnsupportedInChat(body);
  const alternatives = alternativesOf(request);
  const messages = toChatMessages(request.messages);
  const tools = readTools(request);
  checkChoices(request.n ?? 1, 1, limits);

  const engine = await engineOf();
  const served = selectModel(engine, request.model, request.lora);
  const { template, tokenizer, info } = engine;
  if (template === undefined) {
    throw new PronkError("unsupported", `messages: ${info.id} has no chat template`, {
      param: "messages",
    });
  }
  const sampling = toSampling(request, maxTokensOf(request), alternatives, engine, limits);
  // Every message takes a token at least: spares rendering and encoding what cannot fit.
  checkPrompt(messages.length, info.ctx, "messages", limits);
  const hasCalls = messages.some(({ role, tool_calls }) => role === "tool" || tool_calls);
  // Loaded only here: most chats have no tools.
  const { conversation, grammar, reader } =
    tools === undefined && !hasCalls
      ? withoutTools(messages)
      : (await import("./tools/tool-run.ts")).toolRun(
          template,
          messages,
          tools,
          sampling.grammar,
          engine,
        );
  const prompt = encodeChat(template, tokenizer, conversation.messages, conversation.tools);
  checkPrompt(prompt.length, info.ctx, "messages", limits);
  return {
    engine,
    served,
    shape: SHAPE,
    fields: request,
    prompts: [prompt],
    n: request.n ?? 1,
    sampling: {
      ...sampling,
      ...predictionOf(request, tokenizer),
      ...(grammar && { grammar }),
      // Stop texts end what is said; where all of it is calls, nothing is.
      ...(tools?.required && { stop: [] }),
      ...(engine.contextShift && {
        n_keep: systemLength(
          template,
          tokenizer,
          conversation.messages,
          prompt,
          conversation.tools,
        ),
      }),
    },
    reader,
    logprobs: alternatives === undefined ? undefined : () => chatLogprobs(tokenizer, alternatives),
  };
}

/**
 * A prompt that is used raw, without a template, as a chat's job.
 *
 * @param body as a chat's, without messages and tools.
 * @throws as chatJob does.
 */
export async function promptJob(
  prompt: string,
  body: Readonly<Record<string, unknown>>,
  engineOf: () => Promise<Engine> | Engine,
  limits: Limits,
): Promise<Job> {
  const request = validate(promptRequest, body);
  refuseUnsupportedInChat(body);
  const alternatives = alternativesOf(request);
  const engine = await engineOf();
  const { tokenizer, info } = engine;
  const served = selectModel(engine, request.model, request.lora);
  const sampling = toSampling(request, maxTokensOf(request), alternatives, engine, limits);
  const ids = tokenizer.encode(prompt, { parseSpecial: true });
  checkPrompt(ids.length, info.ctx, "prompt", limits);
  return {
    engine,
    served,
    shape: SHAPE,
    fields: request,
    prompts: [ids],
    n: 1,
    sampling,
    logprobs: alternatives === undefined ? undefined : () => chatLogprobs(tokenizer, alternatives),
  };
}

type PromptRequest = Omit<ChatRequest, "messages">;

function maxTokensOf(request: PromptRequest): { value: number | undefined; param: string } {
  const { max_completion_tokens, max_tokens } = request;
  if (max_completion_tokens != null) {
    return { value: max_completion_tokens, param: "max_completion_tokens" };
  }
  return { value: max_tokens ?? undefined, param: "max_tokens" };
}

/** The ids of what is expected, as the model would write it. */
function predictionOf(
  { prediction }: ChatRequest,
  tokenizer: Tokenizer,
): { prediction_ids?: number[] } {
  if (prediction == null) return {};
  const { content } = prediction;
  const text = typeof content === "string" ? content : content.map((part) => part.text).join("");
  return { prediction_ids: tokenizer.encode(text, { addSpecialTokens: false }) };
}

/** How many top_logprobs were asked for; undefined when no log-probabilities were. */
function alternativesOf({ logprobs, top_logprobs }: PromptRequest): number | undefined {
  if (logprobs === true) return top_logprobs ?? 0;
  if (!top_logprobs) return undefined;
  throw new PronkError("bad_request", "top_logprobs: needs logprobs to be true", {
    param: "top_logprobs",
  });
}
