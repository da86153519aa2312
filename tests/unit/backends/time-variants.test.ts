import { expect, test } from "vitest";
import { timeVariants } from "../../../src/backends/wasm/time-variants.ts";

/** Always the same numbers in [0, 1): mulberry32. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Machine {
  /** Milliseconds of a run of each variant, once optimized. */
  readonly costs: readonly number[];
  /** How much slower they are before. */
  readonly cold?: number;
  /** When a variant is optimized: after so many milliseconds of this machine's time. */
  readonly optimizedAt?: (variant: number) => number;
  /** Chance that another process takes the core during a run, and for how many milliseconds. */
  readonly busy?: number;
  readonly slice?: number;
  /** Smallest step of the clock. */
  readonly tick?: number;
  readonly seed?: number;
}

/** Variants that do nothing but take time on a clock of their own. */
function machine({ costs, cold = 3, optimizedAt = () => 3, ...rest }: Machine) {
  const { busy = 0, slice = 4, tick = 1e-4, seed = 1 } = rest;
  const random = randomNumbers(seed);
  let time = 0;
  return {
    now: () => {
      time += 5e-5; // what a call takes
      return Math.floor(time / tick) * tick;
    },
    elapsed: () => time,
    variants: costs.map((cost, i) => ({
      gain: 1.5,
      run(): void {
        time += cost * (time < optimizedAt(i) ? cold : 1) * (1 + 0.02 * random());
        if (random() < busy) time += slice * random();
      },
    })),
  };
}

const COSTS = [0.0009, 0.0008, 0.0014];

function fastest(times: readonly number[] | undefined): number | undefined {
  return times?.indexOf(Math.min(...times));
}

test("finds the fastest in a few milliseconds of work", () => {
  const { variants, now, elapsed } = machine({ costs: COSTS });
  expect(fastest(timeVariants(variants, now, false))).toBe(1);
  expect(elapsed()).toBeLessThan(20);
});

test("finds it on a machine that is busy with other things", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { variants, now } = machine({ costs: COSTS, busy: 0.01, seed });
    expect(fastest(timeVariants(variants, now, false))).toBe(1);
  }
});

test("waits for an optimizer that gets no core for a while", () => {
  for (let seed = 1; seed <= 20; seed++) {
    // The fastest is optimized last, and nearly all of that time went to other processes.
    const optimizedAt = (i: number): number => (i === 1 ? 400 : 200);
    const { variants, now } = machine({ costs: COSTS, busy: 0.03, optimizedAt, seed });
    expect(fastest(timeVariants(variants, now, false))).toBe(1);
  }
});

test("does not wait for code that was optimized before", () => {
  const { variants, now, elapsed } = machine({ costs: COSTS, optimizedAt: () => 0 });
  expect(fastest(timeVariants(variants, now, true))).toBe(1);
  expect(elapsed()).toBeLessThan(20);
});

test("ends where code never gets faster", () => {
  const { variants, now, elapsed } = machine({ costs: COSTS, optimizedAt: () => 1e9 });
  expect(fastest(timeVariants(variants, now, false))).toBe(1);
  expect(elapsed()).toBeLessThan(100);
});

test("manages with a clock of whole milliseconds", () => {
  const { variants, now } = machine({ costs: COSTS, tick: 1 });
  expect(fastest(timeVariants(variants, now, false))).toBe(1);
});

test.each([
  ["stands still", 0],
  ["stops after a while", 2],
])("gives no times when the clock %s", (_, stop) => {
  const { variants, now } = machine({ costs: COSTS });
  expect(timeVariants(variants, () => Math.min(now(), stop), false)).toBeUndefined();
});
