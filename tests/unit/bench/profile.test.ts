/** Where the time goes, from raw figures. */
import { expect, test } from "vitest";
import { script } from "./script.ts";

const { productShare, profileTable } = await script("profile-report");

const document = {
  machine: { cpu: "A CPU" },
  date: "2026-01-02",
  runtime: "Node 24.0.0",
  kernel: "dot",
  prompt: 512,
  reps: 3,
  prefill_ms: { "q, k, v": 20, attention: 40, "norm and quantize": 40 },
  decode_ms: { "q, k, v": 1, head: 2, engine: 1 },
};

test("attention's products count as products, norms and the engine do not", () => {
  expect(productShare(document.prefill_ms)).toBe(0.6);
  expect(productShare(document.decode_ms)).toBe(0.75);
});

test("every part has a row, also where it takes no time in one of the two", () => {
  const lines: string[] = profileTable(document).split("\n");
  expect(lines[0]).toContain("A CPU; 2026-01-02. Node 24.0.0, dot kernels");
  expect(lines).toContain("| head | 0.00 | 0.0 % | 2.00 | 50.0 % |");
  expect(lines).toContain("| attention | 40.0 | 40.0 % | 0.00 | 0.0 % |");
  expect(lines).toContain("| **matrix products, with attention** | | **60.0 %** | | **75.0 %** |");
  expect(lines.at(-1)).toBe("| **all** | **100** | | **4.00** | |");
});
