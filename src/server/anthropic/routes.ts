/** Anthropic's Messages API. */
import { abortOf } from "../answer.ts";
import { readJsonObject } from "../body.ts";
import { chatJob } from "../chat-job.ts";
import { type ChatServer, runChat } from "../chat-run.ts";
import type { ServerContext } from "../context.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { renamedError } from "../renamed-error.ts";
import { validate } from "../validate.ts";
import { ANTHROPIC_ERRORS, streamMessage, wholeMessage } from "./answer.ts";
import { ANTHROPIC_NAMES, countBody, messagesBody } from "./request.ts";
import {
  countAnswer,
  countRequest,
  messageAnswer,
  messageEvent,
  messagesRequest,
} from "./schemas.ts";

const TAG = "Anthropic";

export function anthropicRoutes(server: ServerContext): Route[] {
  const errors = ANTHROPIC_ERRORS;
  return [
    {
      path: "/v1/messages",
      errors,
      methods: {
        POST: {
          summary: "Answer messages, as Anthropic does",
          tag: TAG,
          body: messagesRequest,
          refusals: [404],
          answers: {
            200: {
              description: "The message; with `stream` true as events.",
              content: { "application/json": messageAnswer, "text/event-stream": messageEvent },
            },
          },
          handle: async (c) => {
            c.header("request-id", c.get("record").id);
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(messagesRequest, body);
            const abort = abortOf(c);
            const chats: ChatServer = { ...server, engine: () => server.engineWithRoom(c) };
            const chat = await runChat(messagesBody(request), chats, abort).catch(rename);
            if (request.stream === true) return streamMessage(c, server, chat, abort);
            return c.json(wholeMessage(chat, await chat.whole()));
          },
        },
      },
    },
    {
      path: "/v1/messages/count_tokens",
      errors,
      methods: {
        POST: {
          summary: "Count the tokens of messages, as Anthropic does",
          tag: TAG,
          body: countRequest,
          refusals: [404],
          answers: { 200: jsonAnswer("How many the prompt has.", countAnswer) },
          handle: async (c) => {
            c.header("request-id", c.get("record").id);
            const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
            const request = validate(countRequest, body);
            const engineOf = () => server.engine(c);
            const job = await chatJob(countBody(request), engineOf, server.limits).catch(rename);
            return c.json({ input_tokens: job.prompts[0]?.length ?? 0 });
          },
        },
      },
    },
  ];
}

function rename(error: unknown): never {
  throw renamedError(error, ANTHROPIC_NAMES);
}
