/** POST /v1/chat/completions. */
import { answer } from "../answer.ts";
import { readJsonObject } from "../body.ts";
import { chatJob } from "../chat-job.ts";
import type { ServerContext } from "../context.ts";
import type { Route } from "../routing.ts";

export function chatRoute(server: ServerContext): Route {
  return {
    path: "/v1/chat/completions",
    methods: {
      POST: async (c) => {
        const body = await readJsonObject(c.req.raw, server.limits.bodyBytes);
        return answer(c, server, await chatJob(body, () => server.engine(), server.limits));
      },
    },
  };
}
