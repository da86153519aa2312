// The life of a chat request.
import { arrow, box, drawing, text } from "./drawing.mjs";

export function request() {
  const width = 760;
  const height = 430;
  const title = "The life of a request";
  const description =
    "A client sends messages. The server checks key, quota and body, renders the chat template and encodes it to tokens. The engine queues the request and gives it the slot with the longest common beginning. A loop of ticks follows: one batch of a row for each answer that is being written and a chunk of one prompt; the backend computes logits; the sampler, held by a grammar where there is one, chooses a token for each; tokens become text, which streams to the client as events. When the client leaves, the slot is free within one token.";
  return drawing({ width, height, title, description }, [
    box({ x: 20, y: 24, width: 130, height: 64, head: "client", lines: ["messages"] }),
    box({
      x: 210,
      y: 24,
      width: 230,
      height: 64,
      head: "server",
      lines: ["key, quota, body; template"],
    }),
    box({
      x: 500,
      y: 24,
      width: 240,
      height: 64,
      head: "tokenizer",
      lines: ["texts stay text: no control tokens"],
    }),
    arrow([150, 56], [208, 56]),
    arrow([440, 56], [498, 56]),
    box({
      x: 500,
      y: 128,
      width: 240,
      height: 64,
      head: "queue, prefix cache",
      lines: ["the slot with the longest beginning"],
    }),
    arrow([620, 88], [620, 126]),
    `<rect class="none" x="180" y="222" width="560" height="150" rx="8"/>`,
    text(196, 244, "a tick", "small"),
    box({
      x: 520,
      y: 254,
      width: 200,
      height: 84,
      kind: "strong",
      head: "one batch",
      lines: ["a row for each answer,", "a chunk of one prompt"],
    }),
    box({
      x: 360,
      y: 254,
      width: 130,
      height: 84,
      kind: "strong",
      head: "backend",
      lines: ["kernels", "or a GPU"],
    }),
    box({
      x: 200,
      y: 254,
      width: 130,
      height: 84,
      kind: "strong",
      head: "sampler",
      lines: ["what a grammar", "allows"],
    }),
    arrow([620, 192], [620, 252]),
    arrow([520, 296], [492, 296]),
    arrow([360, 296], [332, 296]),
    arrow([265, 338], [265, 358], [620, 358], [620, 340]),
    text(380, 352, "tokens go back in", "small"),
    box({
      x: 20,
      y: 254,
      width: 130,
      height: 84,
      head: "text",
      lines: ["whole characters,", "stop texts"],
    }),
    arrow([200, 296], [152, 296]),
    arrow([85, 254], [85, 90]),
    text(96, 180, "events", "small"),
    text(
      20,
      404,
      "After each tick the runtime gets its turn: sockets flush, and a client that has left frees its slot within one token.",
      "small",
    ),
  ]);
}
