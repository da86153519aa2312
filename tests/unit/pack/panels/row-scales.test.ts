import { describe, expect, test } from "vitest";
import { panelBytes, type QuantizedForm } from "../../../../src/pack/forms.ts";
import { type PanelViews, panelViews } from "../../../../src/pack/panels/panel-views.ts";
import {
  exponentFor,
  powerOfTwo,
  type Rounding,
  RowScales,
  toNearest,
} from "../../../../src/pack/panels/row-scales.ts";
import { randomIntegers } from "../sample-tensors.ts";

const BLOCKS = 3;

/** The second of two panels, so that nothing is right by lying at 0; every byte is 0x55 before. */
function secondPanel(form: QuantizedForm): { out: PanelViews; panel: number; view: DataView } {
  const panel = panelBytes(form, 32 * BLOCKS);
  const out = panelViews(2 * panel);
  out.u8.fill(0x55);
  return { out, panel, view: new DataView(out.u8.buffer, panel) };
}

/** The row's scales (or minima) as they lie in the panel: exponent, integers. */
function stored(
  form: "q4" | "q4m" | "q6m" | "q8",
  view: DataView,
  row: number,
  minima = false,
): number[] {
  const tileBytes = { q4: 288, q4m: 320, q6m: 448, q8: 544 }[form];
  const first = 32 + (form.endsWith("m") && !minima ? 32 : 0);
  return [
    view.getInt8(row + (minima ? 16 : 0)),
    ...Array.from({ length: BLOCKS }, (_, b) =>
      view.getInt16(first + b * tileBytes + 2 * row, true),
    ),
  ];
}

describe("exponentFor", () => {
  test.each([
    [0, 0],
    [1, -14],
    [16384, 0],
    [16383.5, -1],
    [16383.500001, 0],
    [32767, 0],
    [32767.000001, 1],
    [32768, 1],
    [2 ** -112, -126],
    [2 ** -113, -126],
    [2 ** -149, -126],
    [Number.MIN_VALUE, -126],
    [32767 * 2 ** -126, -126],
    [32767.5 * 2 ** -126, -125],
    [32767 * 2 ** 112, 112],
    [2 ** 127, 113],
  ])("of %d is %i", (largest, exponent) => {
    expect(exponentFor(largest)).toBe(exponent);
  });

  test("makes any value at most 32767 and at least 16383.5", () => {
    const next = randomIntegers(3);
    for (let binade = -112; binade < 127; binade++) {
      for (let i = 0; i < 20; i++) {
        const value = 2 ** binade * (1 + next() / 2 ** 32);
        const multiple = value / 2 ** exponentFor(value);
        expect(multiple).toBeLessThanOrEqual(32767);
        expect(multiple).toBeGreaterThanOrEqual(16383.5);
      }
    }
  });
});

describe("exponentFor of fewer bits", () => {
  test.each([
    [8, 1, -7],
    [8, 127.5, -1],
    [8, 128, 0],
    [8, 255, 0],
    [8, 255.001, 1],
    [7, 1, -6],
    [7, 127, 0],
    [7, 127.001, 1],
    [7, 2 ** -149, -126],
  ] as const)("%i, of %d is %i", (bits, largest, exponent) => {
    expect(exponentFor(largest, bits)).toBe(exponent);
  });
});

describe("q4s", () => {
  const numbers = (view: DataView, row: number): number[][] => [
    [0, 1, 2].map((b) => view.getUint8(32 + 288 * b + 16 + row)),
    [0, 1, 2].map((b) => view.getInt8(32 + 288 * b + row)),
  ];

  test.each([0, 5, 15])("row %i: bytes of scales without a sign behind minima with one", (row) => {
    const { out, panel, view } = secondPanel("q4s");
    const rowScales = new RowScales("q4s", BLOCKS);
    rowScales.scales.set([255 / 64, 3, 0.5 / 64]);
    rowScales.minima?.set([-40, 16.24, 2 ** -9]);
    const before = out.u8.slice();
    expect(rowScales.put(out, panel, row)).toBe(true);
    expect([view.getInt8(row), view.getInt8(16 + row)]).toEqual([-6, -1]);
    expect(numbers(view, row)).toEqual([
      [255, 192, 1],
      [-80, 32, 0],
    ]);
    expect([...rowScales.scales]).toEqual([255 / 64, 3, 1 / 64]);
    expect([...rowScales.minima!]).toEqual([-40, 16, 0]);
    const changed = out.u8.reduce((count, byte, i) => count + Number(byte !== before[i]), 0);
    expect(changed).toBeLessThanOrEqual(2 * BLOCKS + 2);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 2 ** 127, -1])(
    "refuses a scale of %d",
    (value) => {
      const { out, panel } = secondPanel("q4s");
      const rowScales = new RowScales("q4s", BLOCKS);
      rowScales.scales.set([2, value, 2]);
      expect(rowScales.put(out, panel, 2)).toBe(false);
    },
  );

  test("takes the largest numbers that kernels can read, and refuses the next", () => {
    const { out, panel, view } = secondPanel("q4s");
    const rowScales = new RowScales("q4s", BLOCKS);
    rowScales.scales.set([255 * 2 ** 119, 2 ** 119, 0]);
    rowScales.minima?.set([-127 * 2 ** 120, 127 * 2 ** 120, 0]);
    expect(rowScales.put(out, panel, 2)).toBe(true);
    expect([view.getInt8(2), view.getInt8(18)]).toEqual([119, 120]);
    expect(numbers(view, 2)).toEqual([
      [255, 1, 0],
      [-127, 127, 0],
    ]);
    rowScales.scales.set([255.5 * 2 ** 119, 0, 0]);
    expect(rowScales.put(out, panel, 2)).toBe(false);
    rowScales.scales.fill(1);
    rowScales.minima?.set([-127.5 * 2 ** 120, 0, 0]);
    expect(rowScales.put(out, panel, 2)).toBe(false);
  });
});

test("powerOfTwo is exact for every normal f64", () => {
  for (let e = -1022; e < 1024; e++) expect(powerOfTwo(e)).toBe(2 ** e);
});

test("toNearest takes the integer above from the middle on", () => {
  const rounded = [2.5, 2.49, -2.5, -2.51, 0.5, -0.5, 32766.5, -32767].map(toNearest);
  expect(rounded).toEqual([3, 2, -2, -3, 1, 0, 32767, -32767]);
});

describe.each(["q4", "q4m", "q6m", "q8"] as const)("%s", (form) => {
  test.each([0, 5, 15])("row %i is written to its places and nowhere else", (row) => {
    const { out, panel, view } = secondPanel(form);
    const rowScales = new RowScales(form, BLOCKS);
    rowScales.scales.set([3, -2.5, 32767 / 8192]);
    rowScales.minima?.set([-40, 16, 2 ** -9]);
    const before = out.u8.slice();
    expect(rowScales.put(out, panel, row)).toBe(true);

    expect(stored(form, view, row)).toEqual([-13, 3 * 8192, -2.5 * 8192, 32767]);
    const withMinima = form.endsWith("m");
    if (withMinima) expect(stored(form, view, row, true)).toEqual([-9, -20480, 8192, 1]);
    else expect(view.getInt8(16 + row)).toBe(0);
    const changed = out.u8.reduce((count, byte, i) => count + Number(byte !== before[i]), 0);
    expect(changed).toBeLessThanOrEqual((withMinima ? 4 : 2) * BLOCKS + 2);
  });

  test.each<[string, Rounding, number[]]>([
    ["to nearest", toNearest, [20000, 0, -3]],
    ["down", Math.floor, [20000, 0, -4]],
    ["up", Math.ceil, [20000, 1, -3]],
  ])("rounds %s, and leaves the rounded numbers", (_, round, integers) => {
    const { out, panel, view } = secondPanel(form);
    const rowScales = new RowScales(form, BLOCKS);
    const numbers = [20000, 0.25, -3.25].map((multiple) => multiple / 2 ** 20);
    rowScales.scales.set(numbers);
    rowScales.minima?.set(numbers);
    expect(rowScales.putScales(out, panel, 7, round)).toBe(true);
    expect(stored(form, view, 7)).toEqual([-20, ...integers]);
    expect([...rowScales.scales]).toEqual(integers.map((i) => i / 2 ** 20));
    if (!rowScales.minima) return;
    expect([...rowScales.minima]).toEqual(numbers);
    expect(rowScales.putMinima(out, panel, 7, round)).toBe(true);
    expect(stored(form, view, 7, true)).toEqual([-20, ...integers]);
    expect([...rowScales.minima]).toEqual(integers.map((i) => i / 2 ** 20));
  });

  test("a row of zeros is zeros", () => {
    const { out, panel, view } = secondPanel(form);
    const rowScales = new RowScales(form, BLOCKS);
    rowScales.scales.set([0, -0, 0]);
    expect(rowScales.put(out, panel, 2)).toBe(true);
    expect(stored(form, view, 2)).toEqual([0, 0, 0, 0]);
    if (rowScales.minima) expect(stored(form, view, 2, true)).toEqual([0, 0, 0, 0]);
  });

  test("integers reach both their ends, never -32768", () => {
    const { out, panel, view } = secondPanel(form);
    const rowScales = new RowScales(form, BLOCKS);
    for (const [largest, rounding, expected] of [
      [32767, toNearest, [0, 32767, -32767]],
      [32766.6, toNearest, [0, 32767, -32767]],
      [32766.6, Math.floor, [0, 32766, -32767]],
      [32766.6, Math.ceil, [0, 32767, -32766]],
      [32767.4, toNearest, [1, 16384, -16384]],
      [32767.4, Math.floor, [1, 16383, -16384]],
    ] as const) {
      rowScales.scales.set([largest, -largest, 0]);
      expect(rowScales.putScales(out, panel, 1, rounding)).toBe(true);
      expect(stored(form, view, 1)).toEqual([...expected, 0]);
    }
  });

  test.each([
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    2 ** 127,
    -(2 ** 127),
  ])("refuses %d, in any block, as a scale and as a minimum", (value) => {
    for (let b = 0; b < BLOCKS; b++) {
      const { out, panel } = secondPanel(form);
      const rowScales = new RowScales(form, BLOCKS);
      rowScales.scales.fill(2).fill(value, b, b + 1);
      expect(rowScales.put(out, panel, 2)).toBe(false);
      rowScales.scales.fill(2);
      expect(rowScales.put(out, panel, 2)).toBe(true);
      rowScales.minima?.fill(value, b, b + 1);
      expect(rowScales.put(out, panel, 2)).toBe(rowScales.minima === undefined);
    }
  });

  test("takes the largest and the smallest numbers that kernels can read", () => {
    const { out, panel, view } = secondPanel(form);
    const rowScales = new RowScales(form, BLOCKS);
    const largest = 32767 * 2 ** 112;
    rowScales.scales.set([largest, -largest, 2 ** 112]);
    expect(rowScales.put(out, panel, 2)).toBe(true);
    expect(stored(form, view, 2)).toEqual([112, 32767, -32767, 1]);
    rowScales.scales.set([2 ** -126, 2 ** -127, -(2 ** -126)]);
    expect(rowScales.put(out, panel, 2)).toBe(true);
    expect(stored(form, view, 2)).toEqual([-126, 1, 1, -1]);
    rowScales.scales.set([2 ** -149, -(2 ** -127), 2 ** -128]);
    expect(rowScales.put(out, panel, 2)).toBe(true);
    expect(stored(form, view, 2)).toEqual([-126, 0, 0, 0]);
  });
});
