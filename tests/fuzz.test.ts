/** Every input that ever broke a reader is read again; `npm run fuzz` finds new ones. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { runOn } from "./fuzz/outcome.ts";
import type { FuzzTarget } from "./fuzz/target.ts";

const here = fileURLToPath(new URL("fuzz", import.meta.url));
const targets = readdirSync(`${here}/targets`).map((file) => file.slice(0, -3));

describe.each(targets)("%s", async (name) => {
  const { target }: { target: FuzzTarget } = await import(`./fuzz/targets/${name}.ts`);
  const folder = `${here}/corpus/${name}`;
  const files = existsSync(folder) ? readdirSync(folder) : [];

  test("reads its seeds to their end", async () => {
    let past = 0;
    for (const seed of await target.seeds()) {
      const { fault, accepted, pastHeader } = await runOn(target, seed);
      expect({ fault, accepted }).toEqual({ fault: undefined, accepted: true });
      if (pastHeader) past++;
    }
    expect(past).toBeGreaterThan(0);
  });

  test.each(files)("reads or refuses %s", async (file) => {
    const input = new Uint8Array(readFileSync(`${folder}/${file}`));
    expect((await runOn(target, input)).fault).toBeUndefined();
    // As when it was found: a second of the processor's time, when the code is compiled.
    const before = process.cpuUsage();
    await runOn(target, input);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(1);
  });
});
