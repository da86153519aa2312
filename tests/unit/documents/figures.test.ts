/** Figures that the pages for people copy from docs/benchmarks.md are those that stand there. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const read = (name: string): string => readFileSync(`docs/${name}`, "utf8");
const benchmarks = read("benchmarks.md");

/** What stands below a heading, up to the next one of any level. */
function section(text: string, heading: string): string {
  const [, below] = text.split(`${heading}\n`);
  if (below === undefined) throw new Error(`no heading ${heading}`);
  return below.split(/^#{2,} /m)[0] ?? ""; // one sign is a remark of a shell, too
}

/** Cells of every row of every table, without emphasis. */
const rowsOf = (text: string): readonly (readonly string[])[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("|") && !/^\|[\s|:-]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.replaceAll("`", "").trim()),
    );

/** The first number of a cell; undefined without one. */
function numberIn(cell: string): string | undefined {
  return /[+-]?\d[\d,]*(?:\.\d+)?/.exec(cell)?.[0].replaceAll(",", "");
}

/** As exact as the copy is: 1,112 is 1111.8. */
function isCopy(copy: string, original: string): boolean {
  const [, decimals = ""] = copy.split(".");
  return Number(original).toFixed(decimals.length) === Number(copy).toFixed(decimals.length);
}

/** The first rows of the benchmarks' tables by their labels, those of one label joined. */
function labelled(text: string): ReadonlyMap<string, readonly string[]> {
  const rows = new Map<string, string[]>();
  for (const [label = "", ...cells] of rowsOf(text)) {
    rows.set(label, [...(rows.get(label) ?? []), ...cells]);
  }
  return rows;
}

test("the comparison's speeds are those of the peers", () => {
  const peers = labelled(section(benchmarks, "## Beside what one would use instead"));
  const rows = rowsOf(section(read("comparison.md"), "## Speed")).slice(1);
  expect(rows.length).toBeGreaterThan(12);
  for (const [name, weights, ...copies] of rows) {
    const [prefill = "", decode = "", first = "", , peak = ""] =
      peers.get(`${name}, ${weights}`) ?? [];
    const originals = [prefill, decode, first, peak].map(numberIn);
    expect(copies.map(numberIn), `${name}, ${weights}`).toHaveLength(originals.length);
    copies.forEach((copy, i) => {
      expect(isCopy(numberIn(copy)!, originals[i]!), `${name}: ${copy}: ${originals[i]}`).toBe(
        true,
      );
    });
  }
});

test("the forms of the quantization guide are those that were measured", () => {
  const quality = labelled(section(benchmarks, "## What each form costs in quality"));
  const rows = rowsOf(read("guides/quantization.md")).filter(([, cache]) =>
    ["int16", "int8", "f32"].includes(cache ?? ""),
  );
  const forms = rows.filter((row) => row.length === 7);
  expect(forms.length).toBe(6);
  for (const [form = "", kv, weights, plan, kl, change, decode] of forms) {
    const profile = form.includes("profile small") ? "small" : "default";
    const label = `${form.split(",")[0]} ${profile} ${kv}`;
    const [, reporting = "", , , optics = "", , ownWeights = "", ownPlan = "", , ownDecode = ""] =
      quality.get(label) ?? [];
    const originals = [ownWeights, ownPlan, reporting, optics, ownDecode].map(numberIn);
    expect(
      [weights, plan, kl, change, decode].map((copy) => numberIn(copy ?? "")),
      label,
    ).toEqual(originals);
  }
});

/** Tables whose every number stands in one section of the benchmarks. */
describe.each([
  ["guides/quantization.md", "And from float weights", "## What each form costs in quality"],
  ["guides/quantization.md", "The forms for one isolate", "## A Worker from R2 to its first token"],
  ["limits.md", "Larger ones, as", "## How cost grows with the model"],
  ["guides/prefix-snapshots.md", "A conversation of 1,000 tokens", "## Second turns and snapshots"],
  ["guides/stages.md", "A synthetic model of", "## A model in stages"],
])("%s: %s", (file, lead, heading) => {
  test("has figures of that section", () => {
    const at = read(file).indexOf(lead);
    expect(at).toBeGreaterThan(0);
    const [table = ""] = /(?:^\|.*\n)+/m.exec(read(file).slice(at)) ?? [];
    const known = [...section(benchmarks, heading).matchAll(/[+-]?\d[\d,]*(?:\.\d+)?/g)].map(
      ([number]) => number.replaceAll(",", ""),
    );
    const copies = rowsOf(table)
      .slice(1)
      .flatMap(([, ...cells]) => cells)
      .map(numberIn)
      .filter((copy) => copy !== undefined);
    expect(copies.length).toBeGreaterThan(2);
    for (const copy of copies) {
      expect(
        known.some((original) => isCopy(copy, original)),
        `${file}: ${copy}`,
      ).toBe(true);
    }
  });
});
