/**
 * POST /v1/responses and /v1/responses/input_tokens, and what was answered: GET and DELETE
 * /v1/responses/{id}, GET /v1/responses/{id}/input_items, POST /v1/responses/{id}/cancel.
 */
import { PronkError } from "../../errors.ts";
import { abortOf } from "../answer.ts";
import { readJsonObject } from "../body.ts";
import type { AppContext, ServerContext } from "../context.ts";
import { RequestError } from "../errors.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { answerResponse } from "../responses/answer-response.ts";
import { promptBody } from "../responses/chat-body.ts";
import { conversationOf } from "../responses/conversation.ts";
import { inputItemsPage } from "../responses/input-items-page.ts";
import { preparePrompt } from "../responses/prompt.ts";
import { type SavedResponse, SavedResponses } from "../responses/saved-responses.ts";
import {
  deletedAnswer,
  inputItemsAnswer,
  inputTokensAnswer,
  responseAnswer,
  responseEvent,
} from "../schemas/response-answers.ts";
import { inputTokensRequest, responseRequest } from "../schemas/responses.ts";
import { refuseUnsupportedInResponses } from "../unsupported.ts";
import { validate } from "../validate.ts";

export function responseRoutes(server: ServerContext): Route[] {
  /** undefined on a server that keeps nothing. */
  const savedFor = (c: AppContext): SavedResponses | undefined => {
    const { store } = server.responses;
    if (store === undefined) return undefined;
    return new SavedResponses(store, c.get("record").caller.owner, () => server.clock.wall());
  };
  const find = async (c: AppContext): Promise<SavedResponse> => {
    const found = await savedFor(c)?.get(idOf(c));
    if (found === undefined) throw notFound(server, idOf(c));
    return found;
  };
  const id = { description: "A response's id." };
  return [
    {
      path: "/v1/responses",
      methods: {
        POST: {
          summary: "Answer a conversation",
          description:
            "Where responses are kept, `previous_response_id` goes on from one of them, without its instructions.",
          tag: "Responses",
          body: responseRequest,
          refusals: [404],
          answers: {
            200: {
              description:
                "The response; with `stream` true as named server-sent events that end with [DONE].",
              content: { "application/json": responseAnswer, "text/event-stream": responseEvent },
            },
          },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(responseRequest, body);
            refuseUnsupportedInResponses(body);
            return answerResponse(c, server, request, savedFor(c));
          },
        },
      },
    },
    {
      path: "/v1/responses/input_tokens",
      methods: {
        POST: {
          summary: "Count the tokens of a conversation",
          tag: "Responses",
          body: inputTokensRequest,
          refusals: [404],
          answers: { 200: jsonAnswer("Their number.", inputTokensAnswer) },
          handle: async (c) => {
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(inputTokensRequest, body);
            refuseUnsupportedInResponses(body);
            const conversation = await conversationOf(request, savedFor(c));
            const engine = await server.engine(c);
            const model = request.model ?? engine.info.id;
            const { chat } = await preparePrompt(request, {
              engine,
              server,
              abort: abortOf(c),
              ...conversation,
              bodyOf: (turns) => ({ model, ...promptBody(request, turns) }),
              wanted: undefined,
            });
            const [prompt = []] = chat.job.prompts;
            return c.json({ object: "response.input_tokens", input_tokens: prompt.length });
          },
        },
      },
    },
    {
      path: "/v1/responses/:id",
      methods: {
        GET: {
          summary: "Read a response that is kept",
          tag: "Responses",
          parameters: { id },
          refusals: [400, 404],
          answers: { 200: jsonAnswer("The response.", responseAnswer) },
          handle: async (c) => {
            if (c.req.query("stream") === "true") {
              throw new RequestError(
                "unsupported_parameter",
                "stream: a response that is kept is complete; it is not streamed again",
                { param: "stream" },
              );
            }
            return c.json((await find(c)).response);
          },
        },
        DELETE: {
          summary: "Delete a response that is kept",
          description: "Those that went on from it have their own copy of its conversation.",
          tag: "Responses",
          parameters: { id },
          refusals: [404],
          answers: { 200: jsonAnswer("It is gone.", deletedAnswer) },
          handle: async (c) => {
            const deleted = await savedFor(c)?.delete(idOf(c));
            if (deleted !== true) throw notFound(server, idOf(c));
            return c.json({ id: idOf(c), object: "response", deleted: true });
          },
        },
      },
    },
    {
      path: "/v1/responses/:id/input_items",
      methods: {
        GET: {
          summary: "List what a response answers",
          tag: "Responses",
          parameters: {
            id,
            limit: { description: "Items of a page, 1 to 100; default 20." },
            order: { description: "asc or desc, the default: the newest first." },
            after: { description: "The id of the last item of the page before." },
          },
          refusals: [400, 404],
          answers: { 200: jsonAnswer("A page of items.", inputItemsAnswer) },
          handle: async (c) => {
            const { limit, order, after } = c.req.query();
            return c.json(inputItemsPage((await find(c)).items, { limit, order, after }));
          },
        },
      },
    },
    {
      path: "/v1/responses/:id/cancel",
      methods: {
        POST: {
          summary: "Refuse to cancel a response",
          description:
            "Only responses in the background can be cancelled, and this server makes none.",
          tag: "Responses",
          parameters: { id },
          refusals: [400, 404],
          answers: {},
          handle: async (c) => {
            await find(c);
            throw new PronkError(
              "bad_request",
              "background: only responses in the background can be cancelled, and this server makes " +
                "none; closing the connection ends a response that is being made",
              { param: "background" },
            );
          },
        },
      },
    },
  ];
}

const idOf = (c: AppContext): string => c.req.param("id") ?? "";

/** Characters of a client's own words that an error repeats. */
const MAX_SHOWN = 80;

function notFound({ responses }: ServerContext, id: string): PronkError {
  const shown = id.length > MAX_SHOWN ? `${id.slice(0, MAX_SHOWN)}…` : id;
  const why = responses.store === undefined ? "; this server keeps none" : "";
  return new PronkError("not_found", `Response with id '${shown}' not found${why}.`, {
    param: "id",
  });
}
