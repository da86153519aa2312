/**
 * The noise by which a runner draws a token: Gumbel-max (Gumbel, 1954). The token with the largest logit / temperature
 * + noise is one drawn from softmax(logits / temperature), so that no sum over the vocabulary is needed. The noise of an
 * id is a function of seed, index and id alone, in arithmetic that WGSL has, too: docs/webgpu.md says it for shaders.
 *
 * bits      4 x u32 (seed low, seed high, index, id), pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering"
 *           (JCGT 9(3), 2020), the last word through the finalizer lowbias32 (Wellons, 2018)
 */
import { naturalLog } from "../model/natural-log.ts";

/** u32: all bits of which noise is made. The key is two words of a seed and the token's place in the output. */
export function noiseBits(seedLow: number, seedHigh: number, index: number, id: number): number {
  let x = (Math.imul(seedLow, 1664525) + 1013904223) | 0;
  let y = (Math.imul(seedHigh, 1664525) + 1013904223) | 0;
  let z = (Math.imul(index, 1664525) + 1013904223) | 0;
  let w = (Math.imul(id, 1664525) + 1013904223) | 0;
  x = (x + Math.imul(y, w)) | 0;
  y = (y + Math.imul(z, x)) | 0;
  z = (z + Math.imul(x, y)) | 0;
  w = (w + Math.imul(y, z)) | 0;
  x ^= x >>> 16;
  y ^= y >>> 16;
  z ^= z >>> 16;
  w ^= w >>> 16;
  x = (x + Math.imul(y, w)) | 0;
  y = (y + Math.imul(z, x)) | 0;
  z = (z + Math.imul(x, y)) | 0;
  w = (w + Math.imul(y, z)) | 0;
  w = Math.imul(w ^ (w >>> 16), 0x7feb352d);
  w = Math.imul(w ^ (w >>> 15), 0x846ca68b);
  return (w ^ (w >>> 16)) >>> 0;
}

/** Bits below it are a fraction of 2^-32 each; from it on the upper 24 are one of 2^-24: f32 holds both exactly. */
const FINE = 2 ** 24;

/** u32 bits as an f32 in (0, 1), exact; the smallest, which give the largest noise, with all 32 bits. */
export function noiseFraction(bits: number): number {
  return bits < FINE ? (bits | 1) / 2 ** 32 : (bits >>> 8) / FINE;
}

/** Below it a series gives what a logarithm near 1, which WGSL has to 2^-21 only, would lose. */
const SMALL = 1 / 16;

/** -log(-log(1 - v)) for v in (0, 1): standard Gumbel noise, f32. */
export function gumbel(v: number): number {
  const series = v * (1 + v * (1 / 2 + v * (1 / 3 + v * (1 / 4 + v * (1 / 5 + v * (1 / 6))))));
  const exponential = v < SMALL ? series : -naturalLog(1 - v);
  return Math.fround(-naturalLog(exponential));
}

/** A seed's two words. */
export function seedWords(seed: bigint): readonly [low: number, high: number] {
  return [Number(seed & 0xffffffffn), Number((seed >> 32n) & 0xffffffffn)];
}
