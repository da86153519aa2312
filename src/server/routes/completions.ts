/** POST /v1/completions: the prompt is used raw, without a chat template. */
import type { Engine } from "../../engine/engine.ts";
import { PronkError } from "../../errors.ts";
import type { AdapterChoice } from "../../generate/request.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { selectModel } from "../adapters.ts";
import { answer } from "../answer.ts";
import { readJsonObject } from "../body.ts";
import type { AppContext, ServerContext } from "../context.ts";
import { type Echo, echoedText } from "../echo.ts";
import { RequestError } from "../errors.ts";
import type { AnswerShape } from "../job.ts";
import { checkChoices, checkPrompt } from "../limits.ts";
import { completionLogprobs, type EchoedPrompt } from "../logprobs.ts";
import type { Route } from "../operation.ts";
import { toSampling } from "../sampling.ts";
import { completionAnswer } from "../schemas/answers.ts";
import { type CompletionRequest, completionRequest } from "../schemas/completions.ts";
import { inputIds, inputList, inputParam } from "../text-inputs.ts";
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
          const prompts = inputList(request.prompt);
          checkChoices(n, prompts.length, server.limits);

          const engine = await server.engineWithRoom(c);
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
          const encoded = prompts.map((prompt, p) => {
            const param = inputParam("prompt", request.prompt, p);
            // Whoever writes special tokens into a raw prompt composes all of it, turns included.
            const ids = inputIds(prompt, tokenizer, info.vocab, param, true);
            checkPrompt(ids.length, info.ctx, param, server.limits, Math.min(1, maxTokens.value));
            return ids;
          });
          const echo =
            request.echo === true
              ? await readEcho(c, server, engine, {
                  prompts,
                  ids: encoded,
                  adapters: served.adapters,
                  alternatives: request.logprobs,
                  cacheSalt: request.cache_salt ?? undefined,
                })
              : undefined;
          return answer(c, server, {
            engine,
            served,
            shape: SHAPE,
            fields: request,
            prompts: encoded,
            n,
            sampling,
            echo,
            logprobs:
              request.logprobs == null
                ? undefined
                : (p) =>
                    completionLogprobs(
                      tokenizer,
                      echoedPrompt(prompts[p], encoded[p], echo?.[p], tokenizer),
                    ),
          });
        },
      },
    },
  };
}

interface EchoRequest {
  readonly prompts: readonly (string | readonly number[])[];
  readonly ids: readonly (readonly number[])[];
  readonly adapters: readonly AdapterChoice[];
  readonly alternatives: number | null | undefined;
  readonly cacheSalt: string | undefined;
}

/** Of each prompt; what a client waits for before its first token, as for any prompt. */
async function readEcho(
  c: AppContext,
  { clock }: ServerContext,
  engine: Engine,
  { prompts, ids, adapters, alternatives, cacheSalt }: EchoRequest,
): Promise<Echo[]> {
  const startedMs = clock.now();
  const logprobs =
    alternatives == null
      ? undefined
      : await engine.promptLogprobs(ids, {
          top_logprobs: alternatives,
          adapters,
          cacheSalt,
          signal: c.req.raw.signal,
        });
  const ms = (clock.now() - startedMs) / prompts.length;
  return prompts.map((prompt, p) => ({
    text: echoedText(prompt, engine.tokenizer),
    logprobs: logprobs?.[p],
    ms,
  }));
}

function echoedPrompt(
  prompt: string | readonly number[],
  ids: readonly number[],
  echo: Echo | undefined,
  { bosId }: Tokenizer,
): EchoedPrompt | undefined {
  if (echo?.logprobs === undefined) return undefined;
  // Where the text itself begins with it, it is the second.
  const hasAddedBos = typeof prompt === "string" && bosId !== undefined && ids[0] === bosId;
  return { ids, logprobs: echo.logprobs, hasAddedBos };
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
