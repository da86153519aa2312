/** Runs a request to /v1/responses and answers, whole or as a stream. */
import { keyedId } from "../affinity.ts";
import { abortOf, streamOptions } from "../answer.ts";
import type { ChatEvent } from "../chat-run.ts";
import type { AppContext, ServerContext } from "../context.ts";
import type { ResponseRequest } from "../schemas/responses.ts";
import { DONE, type EventStyle, eventStream } from "../sse.ts";
import { serverTiming } from "../usage.ts";
import { chatBody } from "./chat-body.ts";
import { conversationOf } from "./conversation.ts";
import { type Item, itemId, type NewItem } from "./items.ts";
import { preparePrompt } from "./prompt.ts";
import { beginResponse } from "./response-object.ts";
import { type ResponseEvent, ResponseWriter } from "./response-writer.ts";
import type { SavedResponses } from "./saved-responses.ts";

/**
 * @param saved where the response goes unless the request says `store: false`; undefined: nowhere.
 * @throws PronkError, RequestError: what is wrong with the request, and what fails before anything is sent.
 */
export async function answerResponse(
  c: AppContext,
  server: ServerContext,
  request: ResponseRequest,
  saved: SavedResponses | undefined,
): Promise<Response> {
  const conversation = await conversationOf(request, saved);
  const abort = abortOf(c);
  const { chat, used } = await preparePrompt(request, {
    engine: await server.engineWithRoom(c),
    server,
    abort,
    ...conversation,
    bodyOf: (turns) => chatBody(request, turns),
    wanted: request.max_output_tokens ?? undefined,
  });

  const key = keyedId(c.req.raw.headers, server.randomId());
  const items = withIds(
    used.map((index) => conversation.items[index]!),
    key,
  );
  const store = request.store !== false && saved !== undefined;
  const response = beginResponse(request, {
    id: `resp_${key}`,
    created_at: chat.head.created,
    model: chat.head.model,
    store,
  });
  const writer = new ResponseWriter(response, key);
  const keep = async (): Promise<void> => {
    if (!store) return;
    try {
      await saved.put({ response, items }, server.responses.ttlMs);
    } catch (error) {
      // The answer is good all the same; it says that nothing can go on from it.
      response.store = false;
      c.get("record").error = error;
    }
  };
  const events = eventsOf(writer, chat.events(), keep, () =>
    Math.floor(server.clock.wall() / 1000),
  );
  if (request.stream === true) {
    return eventStream(c, events, { ...streamOptions(c, server, abort), style: named(writer) });
  }
  for await (const _ of events); // the writer keeps what they come to
  if (writer.timings !== undefined) c.header("server-timing", serverTiming(writer.timings));
  return c.json(response);
}

async function* eventsOf(
  writer: ResponseWriter,
  parts: AsyncIterable<ChatEvent>,
  keep: () => Promise<void>,
  seconds: () => number,
): AsyncGenerator<ResponseEvent, void, undefined> {
  for await (const part of parts) yield* writer.push(part);
  yield* writer.close(seconds());
  // Before the end is told: who hears of it may go on from it at once.
  await keep();
  yield* writer.end();
}

/** Events with their names; what fails is told by events, too, and [DONE] comes after all. */
function named(writer: ResponseWriter): EventStyle {
  const frame = (event: unknown): string =>
    `event: ${(event as ResponseEvent).type}\ndata: ${JSON.stringify(event)}\n\n`;
  return {
    frame,
    failure: (error) => {
      let text = "";
      for (const event of writer.fail(error)) text += frame(event);
      return text + DONE;
    },
  };
}

function withIds(items: readonly (Item | NewItem)[], key: string): Item[] {
  let count = 0;
  return items.map((item) =>
    "id" in item ? item : ({ id: itemId(item.type, key, `in${count++}`), ...item } as Item),
  );
}
