import { expect, test } from "vitest";
import { ggufPartNames } from "../../../src/formats/gguf/part-names.ts";

test("any part names all of them", () => {
  const names = [1, 2, 3].map((i) => `dir-1/m-q4-0000${i}-of-00003.gguf`);
  for (const name of names) expect(ggufPartNames(name)).toEqual(names);
  expect(ggufPartNames("https://x/m-00001-of-00001.GGUF")).toEqual([
    "https://x/m-00001-of-00001.GGUF",
  ]);
});

test.each([
  "model.gguf",
  "m-00000-of-00003.gguf",
  "m-00004-of-00003.gguf",
  "m-1-of-3.gguf",
  "m-00001-of-00003.safetensors",
])("%s is no part", (name) => {
  expect(ggufPartNames(name)).toBeUndefined();
});
