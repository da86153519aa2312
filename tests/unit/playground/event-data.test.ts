import { describe, expect, test } from "vitest";
import { EventData } from "../../../src/playground/server/event-data.ts";

function dataOf(pieces: readonly string[], maxChars = 1000): string[] {
  const events = new EventData(maxChars);
  return pieces.flatMap((piece) => [...events.push(piece)]);
}

describe("the same events come of a stream wherever it is cut", () => {
  test.each<[string, string, string[]]>([
    ["line feeds", "data: a\n\ndata: b\n\n", ["a", "b"]],
    ["carriage returns", "data: a\r\rdata: b\r\r", ["a", "b"]],
    ["both", "data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]],
    [
      "all of them mixed",
      "data: a\n\r\ndata: b\r\n\ndata: c\r\n\rdata: d\n\r",
      ["a", "b", "c", "d"],
    ],
    ["several lines", "data: a\ndata:b\ndata\n\n", ["a\nb\n"]],
    [
      "comments, other fields and no data",
      ": ping\n\nevent: x\nid: 1\ndata: a\n\nretry: 1\n\n",
      ["a"],
    ],
    ["spaces", "data:  a \n\n data: b\n\ndatax: c\n\n", [" a "]],
    ["no end", "data: a\n\ndata: b\n", ["a"]],
  ])("%s", (_, stream, expected) => {
    expect(dataOf([stream])).toEqual(expected);
    expect(dataOf([...stream])).toEqual(expected);
    for (let at = 1; at < stream.length; at++) {
      expect(dataOf([stream.slice(0, at), "", stream.slice(at)])).toEqual(expected);
    }
  });
});

test("many events in one piece are no endless one", () => {
  expect(dataOf(["data: 0123456789\n\n".repeat(100)], 50)).toHaveLength(100);
});

test.each([
  ["a line", ["data: ", ..."a".repeat(100)]],
  ["many lines", Array(100).fill("data: a\n")],
  ["comments", Array(100).fill(": a\n")],
])("%s without end is refused", (_, pieces) => {
  expect(() => dataOf(pieces, 50)).toThrow("an endless event");
});

test("what comes letter by letter takes no longer than its length", () => {
  const events = new EventData(4_000_000);
  const start = process.cpuUsage();
  for (let i = 0; i < 1_000_000; i++) [...events.push("a")];
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1000).toBeLessThan(5000);
});
