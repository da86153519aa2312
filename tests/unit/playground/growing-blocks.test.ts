import { describe, expect, test } from "vitest";
import { blocksOf, GrowingBlocks } from "../../../src/playground/chat/growing-blocks.ts";

const TEXTS = [
  "One paragraph.\n\nAnother one\nof two lines.\n\n# A heading\n\nText\n===\n\nmore",
  "1. a\n\n2. b\n\n   still b\n\n3. c\n   - d\n   - e\n\nend\n\n- x\n- y\n\n\n- z",
  "Code:\n\n```js\nlet a;\n\nlet b;\n```\n\nand\n\n    indented\n\n    on\n\nend",
  "> quote\nlazy\n>\n> more\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nend | no table",
  "<div>\n\n**b**\n\n</div>\n\n* * *\n\ntext  \nbreak\\\nbreak\n\n\n\nfar",
  "a\r\n\r\nb\tc\r\n\r\n- d\r\n- e\r\n\r\nend",
  "```\nnever ends\n\n# not a heading\n\n- no list",
];

describe("a text that grows by a character at a time", () => {
  test.each(TEXTS)("%j is read as it is at once, at each of its lengths", (text) => {
    const growing = new GrowingBlocks(() => 0);
    for (let length = 1; length <= text.length; length++) {
      const so = text.slice(0, length);
      const shape = (blocks: ReturnType<typeof blocksOf> | ReturnType<GrowingBlocks["read"]>) =>
        blocks.map(({ type, raw }) => [type, raw]);
      expect(shape(growing.read(so)), JSON.stringify(so)).toEqual(shape(blocksOf(so)));
    }
  });

  test("keeps the blocks that are whole", () => {
    const growing = new GrowingBlocks(() => 0);
    const before = growing.read(`${"A paragraph.\n\n".repeat(20)}The last`);
    const after = growing.read(`${"A paragraph.\n\n".repeat(20)}The last one`);
    expect(after.filter((block) => before.includes(block)).length).toBeGreaterThan(30);
  });
});

test("what takes too long three times in a row is shown as it is written from then on", () => {
  let ms = 0;
  const growing = new GrowingBlocks(() => (ms += 200));
  const read = (length: number): unknown => growing.read("# One".slice(0, length))[0]?.type;
  expect([3, 4, 5, 5, 5].map(read)).toEqual(["heading", "heading", "heading", "text", "text"]);
});

test("another text begins anew", () => {
  const growing = new GrowingBlocks(() => 0);
  growing.read("# One\n\n# Two\n\n# Three\n\n# Four");
  expect(growing.read("Other").map(({ raw }) => raw)).toEqual(["Other"]);
});
