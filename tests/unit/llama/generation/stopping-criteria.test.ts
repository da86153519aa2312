import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  EosTokenCriteria,
  MaxLengthCriteria,
  MaxTimeCriteria,
  type StoppingCriteria,
  StoppingCriteriaList,
  StopStringCriteria,
} from "../../../../src/llama/generation/stopping-criteria.ts";

const path = new URL("../../../goldens/processors/processors.json", import.meta.url);
const goldens: {
  name: string;
  class: string;
  params: { max_length: number; eos_token_id: number[] };
  input_ids: number[][];
  done: boolean[];
}[] = JSON.parse(readFileSync(path, "utf8")).stopping;

const create: Record<string, (params: (typeof goldens)[0]["params"]) => StoppingCriteria> = {
  MaxLengthCriteria: (p) => new MaxLengthCriteria(p.max_length),
  EosTokenCriteria: (p) => new EosTokenCriteria(p.eos_token_id),
};

test.each(goldens)("equals Hugging Face: $name", ({ class: name, params, input_ids, done }) => {
  expect(create[name](params).isDone(input_ids, [])).toEqual(done);
});

test("a list ends a row when one of them does, and knows its length", () => {
  const list = new StoppingCriteriaList([new MaxLengthCriteria(3), new EosTokenCriteria(7)]);
  expect(
    list.isDone(
      [
        [1, 2],
        [1, 7],
        [7, 1],
      ],
      [],
    ),
  ).toEqual([false, true, false]);
  expect(list.max_length).toBe(3);
  expect(new StoppingCriteriaList().max_length).toBeUndefined();
});

test("time is over when more than max_time seconds have passed", () => {
  let now = 100;
  const criteria = new MaxTimeCriteria(5, undefined, () => now);
  now = 105;
  expect(criteria.isDone([[1], [2]])).toEqual([false, false]);
  now = 105.1;
  expect(criteria.isDone([[1], [2]])).toEqual([true, true]);
  expect(new MaxTimeCriteria(5, 99, () => now).isDone([[1]])).toEqual([true]);
});

describe("a stop string", () => {
  /** One id is one byte. */
  const bytes = {
    decode: (ids: readonly number[]) => new TextDecoder().decode(Uint8Array.from(ids)),
  };
  const ids = (text: string): number[] => [...new TextEncoder().encode(text)];
  const ends = (stop: string | string[], ...texts: string[]): boolean[] =>
    new StopStringCriteria(bytes, stop).isDone(texts.map(ids));

  test("ends a row whose last token completes it, only then", () => {
    expect(ends("ab", "xab", "xaba", "xa", "ab", "b")).toEqual([true, false, false, true, false]);
  });

  test("may be one of several, and overlap itself", () => {
    expect(ends(["ab", "aa"], "aa", "aaa", "cab", "ba")).toEqual([true, true, true, false]);
  });

  test("may end with a character of several bytes", () => {
    const [whole] = [ids("né")];
    const criteria = new StopStringCriteria(bytes, "é");
    expect(criteria.isDone([whole, whole.slice(0, -1)])).toEqual([true, false]);
  });

  test("may end inside the last token", () => {
    const words = ["", "Hello", ", wor", "ld! Bye"];
    const decode = (row: readonly number[]): string => row.map((id) => words[id]).join("");
    const criteria = new StopStringCriteria({ decode }, "world");
    expect(
      criteria.isDone([
        [1, 2],
        [1, 2, 3],
        [1, 2, 3, 1],
      ]),
    ).toEqual([false, true, false]);
  });
});
