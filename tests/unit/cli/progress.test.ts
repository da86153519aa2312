import { expect, test } from "vitest";
import { createProgress, type ProgressReport } from "../../../src/cli/progress.ts";

/** What is written for these reports, 10 ms apart. */
function written(isTerminal: boolean, reports: readonly ProgressReport[]): string {
  let text = "";
  let ms = 0;
  const cli = {
    isTerminal,
    err: (more: string): void => {
      text += more;
    },
  };
  const progress = createProgress(cli, () => ms);
  for (const report of reports) {
    progress.report(report);
    ms += 10;
  }
  progress.finish();
  return text;
}

const steps = Array.from({ length: 101 }, (_, i) => ({
  label: "loading x",
  loaded: i * 1e6,
  total: 100e6,
}));

test("elsewhere than on a terminal each tenth is a line", () => {
  const lines = written(false, steps).trimEnd().split("\n");
  expect(lines.length).toBe(11);
  expect(lines[0]).toBe("loading x 0.0 of 100.0 MB");
  expect(lines[10]).toBe("loading x 100.0 of 100.0 MB");
});

test("a new label begins anew, whatever the old one had reached", () => {
  const second = { label: "verifying x", loaded: 0, total: 100e6 };
  expect(written(false, [...steps, second])).toMatch(/verifying x 0\.0 of 100\.0 MB\n$/);
});

test("what has no known length is one line", () => {
  const reports = steps.map((step) => ({ ...step, total: undefined }));
  expect(written(false, reports)).toBe("loading x\n");
});

test("on a terminal a bar redraws itself, not too often, and ends with a full one and a line break", () => {
  const text = written(true, steps);
  expect(text.split("\r").length - 1).toBeLessThanOrEqual(13);
  expect(text).toContain("[............");
  expect(text).toMatch(/\[#{24}\] 100\.0 of 100\.0 MB\n$/);
  expect(text.split("\n").length).toBe(2);
});

test("tokens are counted as tokens", () => {
  const report = { label: "scoring", loaded: 64, total: 4096, unit: "tokens" } as const;
  expect(written(false, [report])).toBe("scoring 64 of 4096 tokens\n");
});
