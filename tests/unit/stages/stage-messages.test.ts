import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { decodeFrame, encodeFrame } from "../../../src/stages/stage-frames.ts";
import { StageHost } from "../../../src/stages/stage-host.ts";
import {
  decodeMessage,
  decodeReply,
  encodeFailure,
  encodeMessage,
  encodeReply,
  type StageMessage,
} from "../../../src/stages/stage-messages.ts";

const run: Extract<StageMessage, { do: "run" }> = {
  do: "run",
  copies: [{ from: 0, to: 1, positions: 7 }],
  request: {
    rows: 2,
    ids: Int32Array.of(5, -1),
    x: Float32Array.of(1, 2, 3, 4, 5, 6),
    spans: [{ slot: 1, start: 3, count: 2, length: 9, positions: [4, 5] }],
    wanted: [1],
    head: "argmax",
  },
};

test("a message is what was sent, from whatever address it is read", () => {
  const bytes = encodeMessage(run);
  expect(decodeMessage(bytes)).toEqual(run);
  for (const offset of [1, 2, 3, 4]) {
    const moved = Buffer.alloc(bytes.length + offset);
    moved.set(bytes, offset);
    expect(decodeMessage(moved.subarray(offset))).toEqual(run);
  }
  for (const message of [{ do: "ping" }, { do: "open", slots: 0, fingerprint: "fp" }] as const) {
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
  }
});

test("a reply carries every bit of its numbers", () => {
  const logits = Float32Array.of(-0, Number.NEGATIVE_INFINITY, 1e-42, Number.NaN);
  const best = { ids: Int32Array.of(70_000), values: Float32Array.of(0.1) };
  const found = decodeReply(encodeReply({ logits, best }));
  expect(found).toEqual({ logits, best });
  expect(Object.is(found.logits?.[0], -0)).toBe(true);
});

test("a failure is thrown where it is read, with its code; what is no PronkError says nothing of itself", () => {
  const taken = new PronkError("overloaded", "stage: taken", { retryAfterMs: 5 });
  expect(() => decodeReply(encodeFailure(taken))).toThrow(
    expect.objectContaining({ code: "overloaded", message: "stage: taken", retryAfterMs: 5 }),
  );
  expect(() => decodeReply(encodeFailure(new Error("/home/secret")))).toThrow("stage: it failed");
});

function withHead(text: string, more = 0): Uint8Array {
  const head = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 4) * 4));
  const bytes = new Uint8Array(4 + head.length + more);
  new DataView(bytes.buffer).setUint32(0, head.length, true);
  bytes.set(head, 4);
  return bytes;
}

const PLAIN = { protocol: 1, do: "run", rows: 1, wanted: [], head: "none", numbers: [] };
const HOSTILE: [string, Uint8Array, string][] = [
  ["nothing", new Uint8Array(0), "0 bytes"],
  ["a head longer than the frame", Uint8Array.of(255, 255, 0, 0, 1), "a head of 65535 bytes"],
  ["a head that is no JSON", withHead("{"), "its head is not JSON"],
  [
    "a head that is too deep to be told of",
    withHead(`{"protocol":${"[".repeat(9000)}${"]".repeat(9000)}}`),
    "nested deeper",
  ],
  ["a head that is a list", withHead("[]"), "no object"],
  ["another protocol", withHead('{"protocol":2,"numbers":[]}'), "protocol 2"],
  ["no list of arrays", withHead('{"protocol":1}'), "not listed"],
  [
    "arrays longer than the frame",
    withHead('{"protocol":1,"numbers":[["x",4000000000]]}', 8),
    "not those",
  ],
  ["bytes that nothing lists", withHead('{"protocol":1,"numbers":[]}', 8), "8 bytes more"],
  ["an array twice", withHead('{"protocol":1,"numbers":[["x",1],["x",1]]}', 8), "not those"],
  ["an unknown message", withHead(JSON.stringify({ ...PLAIN, do: "format" })), "not known"],
  ["rows that are none", withHead(JSON.stringify({ ...PLAIN, rows: -1 })), "rows"],
  ["wanted rows that are text", withHead(JSON.stringify({ ...PLAIN, wanted: ["0"] })), "wanted"],
  ["a span without a slot", withHead(JSON.stringify({ ...PLAIN, spans: [{}] })), "slot"],
  ["ids that are no numbers", withHead(JSON.stringify({ ...PLAIN, ids: [1.5] })), "ids"],
];

describe("frames that are not what they claim", () => {
  test.each(HOSTILE)("%s is refused", (_, bytes, why) => {
    expect(() => decodeMessage(bytes)).toThrow(why);
    expect(() => decodeMessage(bytes)).toThrow(PronkError);
  });

  test("random bytes, and valid frames with one byte changed, never throw anything else", () => {
    const good = encodeMessage(run);
    let state = 7;
    const random = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 8;
    };
    for (let i = 0; i < 3000; i++) {
      const bytes = good.slice();
      bytes[random() % bytes.length] = random();
      try {
        decodeMessage(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(PronkError);
      }
    }
  });

  test("a host answers them with a failure, and goes on", async () => {
    const host = new StageHost(() => {
      throw new PronkError("loading", "stage: not yet");
    });
    const session = host.connect();
    for (const [, bytes, why] of HOSTILE) {
      const answer = await session.answer(bytes);
      expect(decodeFrame(answer).head).toMatchObject({
        did: "fail",
        message: expect.stringContaining(why),
      });
    }
    expect(decodeFrame(await session.answer(encodeMessage({ do: "ping" }))).head.did).toBe("ping");
    expect(decodeFrame(await session.answer(encodeFrame(PLAIN))).head).toMatchObject({
      did: "fail",
      code: "loading",
    });
  });
});
