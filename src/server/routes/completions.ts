/** POST /v1/completions: the prompt is used raw, without a chat template. */
import { PronkError } from "../../errors.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { selectModel } from "../adapters.ts";
import { answer } from "../answer.ts";
import { readJsonObject } from "../body.ts";
import type { ServerContext } from "../context.ts";
import { RequestError } from "../errors.ts";
import type { AnswerShape } from "../job.ts";
import { checkChoices, checkPrompt } from "../limits.ts";
import { completionLogprobs } from "../logprobs.ts";
import type { Route } from "../operation.ts";
import { toSampling } from "../sampling.ts";
import { completionAnswer } from "../schemas/answers.ts";
import { type CompletionRequest, completionRequest } from "../schemas/completions.ts";
import { refuseUnsupportedInCompletions } from "../unsupported.ts";
import { validate } from "../validate.ts";

const SHAPE: AnswerShape = {
  idPrefix: "cmpl-",
  object: "text_completion",
  chunkObject: "text_completion",
  whole: (text) => ({ text }),
  opening: undefined,
  piece: (text) => ({ text }),
  closing: { text: "" },
};

/** OpenAI's default for this route, unlike chat's. */
const DEFAULT_MAX_TOKENS = 16;

export function completionsRoute(server: ServerContext): Route {
  return {
    path: "/v1/completions",
    methods: {
      POST: {
        summary: "Continue a text",
        description: "The prompt is used raw, without a chat template.",
        tag: "Generation",
        body: completionRequest,
        refusals: [404],
        answers: {
          200: {
            description:
              "The answer; with `stream` true as server-sent events that end with [DONE].",
            content: {
              "application/json": completionAnswer,
              "text/event-stream": completionAnswer,
            },
          },
        },
        handle: async (c) => {
          const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
          const request = validate(completionRequest, body);
          refuseUnsupportedInCompletions(body);
          const n = request.n ?? 1;
          checkBestOf(request, n);
          const prompts = promptList(request.prompt);
          checkChoices(n, prompts.length, server.limits);

          const engine = await server.engine();
          const served = selectModel(engine, request.model, request.lora);
          const { tokenizer, info } = engine;
          const limit = Math.min(DEFAULT_MAX_TOKENS, server.limits.maxTokens);
          const maxTokens = { value: request.max_tokens ?? limit, param: "max_tokens" };
          const sampling = toSampling(
            request,
            maxTokens,
            request.logprobs ?? undefined,
            engine,
            server.limits,
          );
          const isOne = typeof request.prompt === "string" || prompts[0] === request.prompt;
          const encoded = prompts.map((prompt, p) => {
            const param = isOne ? "prompt" : `prompt[${p}]`;
            const ids = promptIds(prompt, tokenizer, info.vocab, param);
            checkPrompt(ids.length, info.ctx, param, server.limits);
            return ids;
          });
          return answer(c, server, {
            engine,
            served,
            shape: SHAPE,
            fields: request,
            prompts: encoded,
            n,
            sampling,
            logprobs: request.logprobs == null ? undefined : () => completionLogprobs(tokenizer),
          });
        },
      },
    },
  };
}

/** Ranking more candidates than are returned is not built; ranking none is the same as n. */
function checkBestOf({ best_of }: CompletionRequest, n: number): void {
  if (best_of == null || best_of === n) return;
  const param = "best_of";
  if (best_of < n) {
    throw new PronkError("bad_request", `best_of: expected at least n = ${n}, got ${best_of}`, {
      param,
    });
  }
  throw new RequestError("unsupported_parameter", "best_of: more than n is not supported", {
    param,
  });
}

function promptList(prompt: CompletionRequest["prompt"]): readonly (string | number[])[] {
  if (typeof prompt === "string") return [prompt];
  return isIds(prompt) ? [prompt] : prompt;
}

function isIds(prompt: number[] | number[][] | string[]): prompt is number[] {
  return typeof prompt[0] === "number";
}

/**
 * BOS is added to text as the model's tokenizer does, never to ids. Special tokens written out in
 * a raw prompt are meant: whoever writes one composes the whole prompt, turns included.
 */
function promptIds(
  prompt: string | number[],
  tokenizer: Tokenizer,
  vocab: number,
  param: string,
): number[] {
  const ids =
    typeof prompt === "string" ? tokenizer.encode(prompt, { parseSpecial: true }) : prompt;
  if (ids.length === 0) {
    throw new PronkError("bad_request", `${param}: expected at least one token`, { param });
  }
  const unknown = ids.findIndex((id) => id >= vocab);
  if (unknown !== -1) {
    const at = `${param}[${unknown}]`;
    throw new PronkError("bad_request", `${at}: ${ids[unknown]} is not below ${vocab}`, {
      param: at,
    });
  }
  return ids;
}
