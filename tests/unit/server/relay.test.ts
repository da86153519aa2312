import { expect, test } from "vitest";
import { relay } from "../../../src/server/front/relay.ts";
import { streamForm } from "../../../src/server/front/stream-forms.ts";

const form = streamForm("/v1/chat/completions", "text/event-stream")!;

async function relayed(pieces: readonly string[]): Promise<string> {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
      controller.close();
    },
  });
  const options = { form, idleMs: 1000, after: () => () => {}, onEnd: () => {}, abort: () => {} };
  return new Response(relay(stream, options)).text();
}

test.each(["\n", "\n\n", ": ping\n\n", "\n: ping\n\n"])(
  "a stream that ended is no broken one, whatever comes behind its end: %j",
  async (behind) => {
    const stream = `data: {"a":1}\n\ndata: [DONE]\n\n${behind}`;
    expect(await relayed([stream])).toBe(stream);
    expect(await relayed([...stream])).not.toContain("error");
  },
);

test("a stream that was cut off says so", async () => {
  const cut = 'data: {"a":1}\n\ndata: [DO';
  for (const pieces of [[cut], [...cut]]) {
    expect(await relayed(pieces)).toMatch(/^data: \{"a":1\}\n\ndata: \{"error":.*\}\n\n/);
  }
});
