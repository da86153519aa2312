/**
 * The sampler's random numbers: SplitMix64 (Steele, Lea and Flood, 2014) read as a function of seed
 * and index. No state to carry: token n of a request draws number n, so a paused, repeated or
 * speculative run draws the same. Integer arithmetic alone, hence the same on every runtime.
 */

/** The odd 64-bit number nearest to 2^64 / golden ratio: SplitMix64's step. */
const STEP = 0x9e3779b97f4a7c15n;

/** Any integer as a 64-bit seed, modulo 2^64: -1 and 2^64 - 1 are the same seed. */
export function toSeed(seed: number | bigint): bigint {
  return BigInt.asUintN(64, BigInt(seed));
}

/** Output `index` (from 0) of SplitMix64 started at `seed`: 64 bits. Under 1 us. */
export function bitsAt(seed: bigint, index: number): bigint {
  let z = BigInt.asUintN(64, seed + STEP * BigInt(index + 1));
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

const TWO_TO_53 = 9007199254740992;

/** The upper 53 of those bits as a number in [0, 1), evenly spaced. */
export function uniformAt(seed: bigint, index: number): number {
  return Number(bitsAt(seed, index) >> 11n) / TWO_TO_53;
}
