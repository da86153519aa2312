import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** What ECMAScript calls implementation-approximated: engines differ in the last bits. */
const APPROXIMATED =
  /Math\.(a?cosh?|a?sinh?|a?tanh?|atan2|cbrt|expm?1?|hypot|log(1p|10|2)?|pow|random)\b|\*\*(?!\/)/;

const folder = new URL("../../../src/", import.meta.url);
const files = ["generate/", "llama/generation/"].flatMap((name) =>
  readdirSync(new URL(name, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => name + file),
);
const withoutComments = (source: string): string => source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");

test.each(files)("%s uses no arithmetic that engines may approximate", (file) => {
  const source = withoutComments(readFileSync(new URL(file, folder), "utf8"));
  expect(source.match(APPROXIMATED)?.[0]).toBeUndefined();
});

test("such arithmetic would be found", () => {
  for (const code of ["Math.exp(x)", "x ** 2", "Math.log2(x)", "Math.random()"]) {
    expect(withoutComments(code)).toMatch(APPROXIMATED);
  }
});
