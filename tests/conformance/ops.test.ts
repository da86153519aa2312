import { describe, expect, test } from "vitest";
import { BACKENDS } from "./backends.ts";
import { attentionCases, formsOf, opError, SIZES } from "./op-errors.ts";
import { opCases } from "./op-plans.ts";

for (const { name, create, caches, rows, tolerance } of BACKENDS) {
  describe.each(Object.entries(SIZES))(`${name}: %s`, (_, sizes) => {
    describe.each(formsOf(sizes))("%s", (form) => {
      const cases = opCases(sizes);
      test.each(cases.map((c) => [c.title, c] as const))("%s", async (_, opCase) => {
        const error = await opError(create, opCase, form, "f32", rows);
        expect(error).toBeLessThan(tolerance(form, "f32"));
      });
    });
    test.each(caches)("attention over a cache of %s", async (kv) => {
      for (const opCase of attentionCases(sizes)) {
        const error = await opError(create, opCase, "f32", kv, rows);
        expect(error).toBeLessThan(tolerance("f32", kv));
      }
    });
  });
}
