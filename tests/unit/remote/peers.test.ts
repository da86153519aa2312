import { expect, test } from "vitest";
import { decodeFrame, encodeFrame } from "../../../src/remote/frames.ts";
import { type EnginePeer, rankPeers } from "../../../src/remote/peers.ts";

const peers = (count: number): EnginePeer[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `engine-${i}`,
    connect: () => Promise.reject(new Error("unused")),
  }));
const keys = Array.from({ length: 3000 }, (_, i) => i.toString(16).padStart(16, "0"));
const first = (count: number, key: string): string => rankPeers(peers(count), key)[0]!.name;

test("keys spread evenly over engines, and each always finds the same", () => {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(first(3, key), (counts.get(first(3, key)) ?? 0) + 1);
  expect(counts.size).toBe(3);
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(120);
});

test("an engine more takes keys from the others and moves none between them", () => {
  const moved = keys.filter((key) => first(4, key) !== first(3, key));
  expect(moved.every((key) => first(4, key) === "engine-3")).toBe(true);
  expect(Math.abs(moved.length - 750)).toBeLessThan(120);
});

test("a message comes out of its frame as it went in; what is no frame is refused", () => {
  const body = new Uint8Array([1, 2, 3]);
  expect(decodeFrame(encodeFrame({ head: { a: "ä🦙" } }))).toEqual({ head: { a: "ä🦙" } });
  const decoded = decodeFrame(encodeFrame({ head: [1], body }));
  expect(decoded.head).toEqual([1]);
  expect([...decoded.body!]).toEqual([1, 2, 3]);
  const wrong = [
    "{",
    new Uint8Array(3),
    new Uint8Array([9, 0, 0, 0, 0x31]),
    new Uint8Array([255, 255, 255, 255]),
  ];
  for (const frame of wrong) expect(() => decodeFrame(frame)).toThrow("a frame that is none");
  const large = new Uint8Array(32 * 2 ** 20);
  expect(() => encodeFrame({ head: 0, body: large })).toThrow("at most");
});
