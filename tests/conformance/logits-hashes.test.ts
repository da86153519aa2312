/**
 * Golden logits of each version of the numbers: a change of a single bit has to come with a new version, and is a deliberate
 * act (scripts/golden-hashes.mjs). On every kernel that this runtime has.
 */
import { expect, test } from "vitest";
import { NUMBERS_VERSION } from "../../src/backends/wasm/numbers-version.ts";
import { BUILDS } from "../support/kernel-builds.ts";
import {
  GOLDEN_CASES,
  GOLDEN_FILE,
  hashOfRunner,
  REAL_MODEL,
  readGoldenHashes,
} from "../support/logits-hashes.ts";
import { kernelOf } from "./backends.ts";

const golden = readGoldenHashes();
const current = golden.find(({ version }) => version === NUMBERS_VERSION);

const MISSING = `no golden logits of version ${NUMBERS_VERSION}, since wasm/*.c or ARITHMETIC_VERSION changed. \
See whether numbers did, and add it: npm run golden:hashes -- --reason "what changed and why"`;
const CHANGED = `the logits of version ${NUMBERS_VERSION} changed. Where that is a mistake, mend it. Where it is meant, raise \
ARITHMETIC_VERSION in src/backends/wasm/numbers-version.ts and run: npm run golden:hashes -- --reason "what changed and why"`;

test("this version of the numbers has golden logits, each version but once", () => {
  expect(current, MISSING).toBeDefined();
  expect(golden[0]?.version, `${GOLDEN_FILE}: the newest comes first`).toBe(NUMBERS_VERSION);
  const versions = golden.map(({ version }) => version);
  expect(new Set(versions).size).toBe(versions.length);
  const names = [...GOLDEN_CASES.map(({ name }) => name), REAL_MODEL];
  expect(Object.keys(current?.hashes ?? {}).sort()).toEqual(names.sort());
});

test.each(GOLDEN_CASES)(
  "$name: the logits of this version, on every kernel",
  async ({ name, open }) => {
    for (const build of BUILDS) {
      const found = await hashOfRunner(await open(kernelOf(build)));
      expect(found, `${build}: ${CHANGED}`).toBe(current?.hashes[name]);
    }
  },
);
