/** A Worker without a model, which asks another for everything: by methods, with types, without HTTP. */
import {
  connectLlm,
  type LlmPart,
  type LlmService,
  type PronkError,
} from "pronk/cloudflare/service";

interface Env {
  readonly LLM: LlmService;
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const content = searchParams.get("q") ?? "How many days are in a week?";
    const messages = [{ role: "user" as const, content }];
    const llm = connectLlm(env.LLM);
    switch (pathname) {
      case "/answer": {
        const { text, finish_reason, usage } = await llm.generate({ messages, temperature: 0 });
        return Response.json({ text, finish_reason, usage });
      }
      case "/stream": {
        const body = textStream(
          llm.stream({ messages, temperature: 0 }, { signal: request.signal }),
        );
        const headers = {
          "content-type": "text/plain; charset=utf-8",
          // Cloudflare compresses texts, and so would hold a stream back until there is enough of it.
          "content-encoding": "identity",
        };
        return new Response(body, { headers });
      }
      case "/similarity": {
        const [a, b] = await llm.embed([content, "a week"]);
        const dot = a?.reduce((sum, x, i) => sum + x * (b?.[i] ?? 0), 0);
        return Response.json({ dot });
      }
      case "/tokens":
        // The methods themselves, without the helper.
        return Response.json(await env.LLM.tokenize(content));
      case "/refused":
        try {
          return Response.json(await llm.generate({ messages, temperature: 9 }));
        } catch (error) {
          // A PronkError, as it was thrown in the other Worker.
          const { name, code, message } = error as PronkError;
          return Response.json({ name, code, message }, { status: 400 });
        }
      default:
        // And the HTTP API, handed through.
        return env.LLM.fetch(request);
    }
  },
} satisfies ExportedHandler<Env>;

/** The texts of parts, as bytes; read no faster than the client takes them. */
function textStream(parts: AsyncIterable<LlmPart>): ReadableStream<Uint8Array> {
  const iterator = parts[Symbol.asyncIterator]();
  const texts = new ReadableStream<string>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value.text);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
  return texts.pipeThrough(new TextEncoderStream());
}
