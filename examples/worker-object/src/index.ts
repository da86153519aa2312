/** Chat rooms that remember: each a Durable Object, with its messages in its storage and the model beside them. */

import { r2Source } from "pronk/cloudflare";
import { type LlmRequest, llmObject } from "pronk/cloudflare/service";
import plain from "pronk/kernels/plain.wasm";
import relaxed from "pronk/kernels/relaxed.wasm";

interface Env {
  readonly MODELS: R2Bucket;
  readonly ROOMS: DurableObjectNamespace<Room>;
}

type Messages = NonNullable<LlmRequest["messages"]>;

/** The objects of a script share its isolate, and in it one model. */
export class Room extends llmObject<Env>({
  id: "smollm2-135m-instruct",
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, "smollm2-135m-instruct"),
}) {
  /** The answer, by all that was said in this room. */
  async say(content: string): Promise<string> {
    const said = await this.messages();
    const messages: Messages = [...said, { role: "user", content }];
    const { text } = await this.llm.generate({ messages, temperature: 0, max_tokens: 100 });
    await this.ctx.storage.put("messages", [...messages, { role: "assistant", content: text }]);
    return text;
  }

  async messages(): Promise<Messages> {
    return (await this.ctx.storage.get<Messages>("messages")) ?? [];
  }
}

export default {
  /** GET /rooms/NAME: what was said. POST: says the body's text. */
  async fetch(request, env): Promise<Response> {
    const [, room] = /^\/rooms\/(\w+)$/.exec(new URL(request.url).pathname) ?? [];
    if (room === undefined) return new Response("Nothing here.", { status: 404 });
    const stub = env.ROOMS.get(env.ROOMS.idFromName(room));
    if (request.method === "POST") return new Response(await stub.say(await request.text()));
    return Response.json(await stub.messages());
  },
} satisfies ExportedHandler<Env>;
