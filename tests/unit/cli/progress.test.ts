import { describe, expect, test } from "vitest";
import { PLAIN } from "../../../src/cli/colors.ts";
import { createProgress, type ProgressReport } from "../../../src/cli/progress.ts";
import { type BarState, drawBar, duration } from "../../../src/cli/progress-bar.ts";

interface Written {
  readonly isTerminal: boolean;
  readonly stepMs?: number;
  readonly columns?: () => number;
}

/** What is written for these reports, each piece as it is written. */
function pieces(
  { isTerminal, stepMs = 10, columns = () => 80 }: Written,
  reports: readonly ProgressReport[],
): string[] {
  const written: string[] = [];
  let ms = 0;
  const cli = {
    isTerminal,
    columns,
    colors: { out: PLAIN, err: PLAIN },
    note: (text: string): void => void written.push(text),
  };
  const progress = createProgress(cli, () => ms);
  for (const report of reports) {
    progress.report(report);
    ms += stepMs;
  }
  progress.finish();
  return written;
}

const steps = Array.from({ length: 101 }, (_, i) => ({
  label: "loading x",
  loaded: i * 1e6,
  total: 100e6,
}));

describe("elsewhere than on a terminal", () => {
  const lines = (reports: readonly ProgressReport[], stepMs?: number): string =>
    pieces({ isTerminal: false, stepMs }, reports).join("");

  test("each tenth is a line", () => {
    const written = lines(steps).trimEnd().split("\n");
    expect(written.length).toBe(11);
    expect(written[0]).toBe("loading x 0.0 of 100.0 MB");
    expect(written[10]).toBe("loading x 100.0 of 100.0 MB");
  });

  test("a new label begins anew, whatever the old one had reached", () => {
    const second = { label: "verifying x", loaded: 0, total: 100e6 };
    expect(lines([...steps, second])).toMatch(/verifying x 0\.0 of 100\.0 MB\n$/);
  });

  test("what has no known length is one line", () => {
    expect(lines(steps.map((step) => ({ ...step, total: undefined })))).toBe("loading x\n");
  });

  test("tokens are counted as tokens", () => {
    const report = { label: "scoring", loaded: 64, total: 4096, unit: "tokens" } as const;
    expect(lines([report])).toBe("scoring 64 of 4096 tokens\n");
  });

  test("what may be brief is a line only when it takes seconds", () => {
    const brief = steps.map((step) => ({ ...step, brief: true }));
    expect(lines(brief)).toBe("");
    expect(lines(brief, 100).split("\n")[0]).toBe("loading x 50.0 of 100.0 MB");
  });
});

describe("on a terminal", () => {
  test("a bar is written over itself, not too often, and ends as one line of what was done", () => {
    const written = pieces({ isTerminal: true }, steps);
    expect(written.length).toBeLessThanOrEqual(13);
    for (const piece of written.slice(0, -1)) {
      expect([piece[0], piece.slice(-3), piece.includes("\n")]).toEqual(["\r", "\x1b[K", false]);
    }
    expect(written[0]).toContain("loading x  ───");
    expect(written.at(-2)).toContain("━  100%  100.0 of 100.0 MB");
    expect(written.at(-1)).toBe("\rloading x  100.0 MB in 1.0 s, 99.0 MB/s\x1b[K\n");
  });

  test("rate and remaining time are of the last seconds, and not of what an earlier run had brought", () => {
    const reports = [70, 80, 90].map((mb) => ({ label: "x", loaded: mb * 1e6, total: 100e6 }));
    const written = pieces({ isTerminal: true, stepMs: 1000 }, reports);
    expect(written[2]).toContain("10.0 MB/s  1.0 s left");
  });

  test("what is broken off stays as it was", () => {
    const written = pieces({ isTerminal: true }, steps.slice(0, 50));
    expect(written.at(-1)).toBe("\n");
  });

  test("what is brief shows nothing for half a second, and leaves nothing behind", () => {
    const brief = steps.map((step) => ({ ...step, brief: true }));
    expect(pieces({ isTerminal: true, stepMs: 4 }, brief)).toEqual([]);
    const written = pieces({ isTerminal: true }, brief);
    expect(written[0]).toContain("50%");
    expect(written.at(-1)).toBe("\r\x1b[J");
  });

  test("a terminal that becomes narrower has the rows of the old line removed", () => {
    let columns = 100;
    const reports = steps.filter((_, i) => i % 20 === 0);
    const written = pieces(
      { isTerminal: true, stepMs: 200, columns: () => (columns -= 12) },
      reports,
    );
    expect(written.some((piece) => piece.startsWith("\x1b[1A\r\x1b[J"))).toBe(true);
  });
});

test.each([20, 30, 40, 60, 80, 120, 200])("a line fits in %i columns", (columns) => {
  const state: BarState = {
    label: "downloading SmolLM2-135M-Instruct.Q4_1-00001-of-00009.gguf",
    loaded: 44_100_000,
    total: 98_362_432,
    unit: "bytes",
    elapsedMs: 3000,
    rate: 12_345_678,
  };
  const { text, width } = drawBar(state, { columns, colors: PLAIN });
  expect(text.length).toBe(width);
  expect(width).toBeLessThan(columns);
  expect(text).toContain("44%");
  if (columns >= 120) expect(text).toMatch(/44\.1 of 98\.4 MB {2}12\.3 MB\/s {2}4\.4 s left$/);
});

test.each([
  [400, "0.4 s"],
  [9_960, "10 s"],
  [80_000, "1 min 20 s"],
  [7_500_000, "2 h 5 min"],
])("%i ms is %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});
