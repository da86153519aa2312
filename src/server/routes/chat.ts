/** POST /v1/chat/completions. */
import { answer } from "../answer.ts";
import { readJsonObject } from "../body.ts";
import { chatJob } from "../chat-job.ts";
import type { ServerContext } from "../context.ts";
import type { Route } from "../operation.ts";
import { chatAnswer, chatChunk } from "../schemas/answers.ts";
import { chatRequest } from "../schemas/chat.ts";

export function chatRoute(server: ServerContext): Route {
  return {
    path: "/v1/chat/completions",
    methods: {
      POST: {
        summary: "Answer a chat",
        tag: "Generation",
        body: chatRequest,
        refusals: [404],
        answers: {
          200: {
            description:
              "The answer; with `stream` true as server-sent events that end with [DONE].",
            content: { "application/json": chatAnswer, "text/event-stream": chatChunk },
          },
        },
        handle: async (c) => {
          const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
          return answer(
            c,
            server,
            await chatJob(body, () => server.engineWithRoom(c), server.limits),
          );
        },
      },
    },
  };
}
