/** The pictures of docs/diagrams are those that scripts/diagrams.mjs draws, and say what is so. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

// Plain JavaScript, which has no declarations.
const script = (name: string) => import(new URL(`../../../scripts/${name}`, import.meta.url).href);
const { diagrams } = await script("diagrams.mjs");
const { GROUPS } = await script("diagrams/layers.mjs");

const drawn: [string, string][] = Object.entries(diagrams());

test.each(drawn)("%s is drawn anew, with words for who does not see it", (name, svg) => {
  expect(readFileSync(`docs/diagrams/${name}`, "utf8")).toBe(svg);
  expect(svg).toMatch(/<title id="title">.{10,}<\/title>\n<desc id="description">.{60,}<\/desc>/);
  expect(svg).toContain("prefers-color-scheme: dark");
  expect(svg).not.toMatch(/undefined|NaN|https?:(?!\/\/www\.w3\.org\/2000\/svg)/);
});

test("the layers are those that the imports keep to, in their order", () => {
  const rules = readFileSync("tests/architecture.test.ts", "utf8");
  const [, list = ""] = /const LAYERS = \[([\s\S]*?)\];/.exec(rules) ?? [];
  const layers = [...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name);
  expect(layers.length).toBeGreaterThan(20);
  expect(GROUPS.flatMap(([, , folders]: [string, string, string[]]) => folders)).toEqual(layers);
});

test("the parts of an isolate add up to it", () => {
  const [, svg = ""] = drawn.find(([name]) => name === "isolate.svg") ?? [];
  const parts = [...svg.matchAll(/>([\d.]+) MB</g)].map(([, mb]) => Number(mb));
  expect(parts).toHaveLength(5);
  expect(parts.reduce((sum, mb) => sum + mb)).toBeCloseTo(128, 0);
  expect(Math.min(...parts)).toBeGreaterThan(0);
});
