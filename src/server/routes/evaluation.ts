/**
 * What evaluation harnesses ask for beside completions, under the root as they expect it: /score and /perplexity.
 */
import type { Engine } from "../../engine/engine.ts";
import type { ContinuationRequest } from "../../engine/score-continuations.ts";
import { PronkError } from "../../errors.ts";
import { LEAST_LOGPROB } from "../../generate/logprobs.ts";
import { type ServedModel, selectModel } from "../adapters.ts";
import { readJsonObject } from "../body.ts";
import type { ServerContext } from "../context.ts";
import { checkPrompt } from "../limits.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { perplexityAnswer, scoreAnswer } from "../schemas/answers.ts";
import { perplexityRequest, type ScoreRequest, scoreRequest } from "../schemas/evaluation.ts";
import { inputIds } from "../text-inputs.ts";
import { validate } from "../validate.ts";

/** That of `pronk eval`. */
const DEFAULT_WINDOW = 512;

export function evaluationRoutes(server: ServerContext): Route[] {
  return [
    {
      path: "/score",
      methods: {
        POST: {
          summary: "Tell how likely continuations of a context are",
          tag: "Evaluation",
          body: scoreRequest,
          refusals: [404],
          answers: { 200: jsonAnswer("In the order of the continuations.", scoreAnswer) },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(scoreRequest, body);
            const engine = await server.engine(c);
            const served = modelOf(engine, request.model);
            const scores = await scored(engine, rowsOf(request), {
              adapters: served.adapters,
              signal: c.req.raw.signal,
            });
            const tokens = scores.reduce((sum, { token_ids }) => sum + token_ids.length, 0);
            return c.json({
              object: "list",
              model: served.model,
              data: scores.map(({ logprob, token_logprobs, token_ids, is_greedy }, index) => ({
                object: "score",
                index,
                logprob: finite(logprob),
                token_logprobs: token_logprobs.map(finite),
                token_ids,
                is_greedy,
              })),
              usage: { prompt_tokens: tokens, total_tokens: tokens },
            });
          },
        },
      },
    },
    {
      path: "/perplexity",
      methods: {
        POST: {
          summary: "Tell how well the model predicts a text",
          description: "Over consecutive, independent windows of tokens, as `pronk eval`.",
          tag: "Evaluation",
          body: perplexityRequest,
          refusals: [404],
          answers: { 200: jsonAnswer("The perplexity.", perplexityAnswer) },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(perplexityRequest, body);
            const engine = await server.engine(c);
            const served = modelOf(engine, request.model);
            const { tokenizer, info } = engine;
            const ids = inputIds(request.prompt, tokenizer, info.vocab, "prompt", false);
            const window = request.window ?? Math.min(DEFAULT_WINDOW, info.ctx);
            if (ids.length > server.limits.promptTokens) {
              checkPrompt(ids.length, ids.length, "prompt", server.limits, 0);
            }
            if (ids.length < 2) {
              throw new PronkError("bad_request", "prompt: one token, nothing to score", {
                param: "prompt",
              });
            }
            const found = await engine.perplexity(ids, {
              window,
              adapters: served.adapters,
              signal: c.req.raw.signal,
            });
            return c.json({
              object: "perplexity",
              model: served.model,
              perplexity: Math.min(found.ppl, Number.MAX_VALUE),
              nll: Math.min(found.nll, -LEAST_LOGPROB),
              tokens: found.tokens,
              window,
              usage: { prompt_tokens: ids.length, total_tokens: ids.length },
            });
          },
        },
      },
    },
  ];
}

/** The base without a name. */
function modelOf(engine: Engine, model: string | null | undefined): ServedModel {
  return selectModel(engine, model ?? engine.info.id, undefined);
}

function rowsOf({ context, continuations }: ScoreRequest): ContinuationRequest[] {
  return continuations.map((continuation, index) => {
    if (typeof context === "string" && typeof continuation === "string") {
      return { prompt: context, continuation };
    }
    if (typeof context !== "string" && typeof continuation !== "string") {
      return { prompt_ids: context, continuation_ids: continuation };
    }
    const param = `continuations[${index}]`;
    throw new PronkError("bad_request", `${param}: expected what the context is, text or ids`, {
      param,
    });
  });
}

/** What the engine says of a request is said of a continuation. */
async function scored(
  engine: Engine,
  rows: readonly ContinuationRequest[],
  options: Parameters<Engine["scoreContinuations"]>[1],
): ReturnType<Engine["scoreContinuations"]> {
  try {
    return await engine.scoreContinuations(rows, options);
  } catch (error) {
    if (!(error instanceof PronkError)) throw error;
    const [, index] = /^request (\d+): /.exec(error.message) ?? [];
    if (index === undefined) throw error;
    const param = `continuations[${index}]`;
    const message = error.message.replace(/^request \d+/, param);
    throw new PronkError(error.code, message, { param, cause: error });
  }
}

/** JSON has no infinity. */
const finite = (logprob: number): number => Math.max(logprob, LEAST_LOGPROB);
