/** Regular expressions written by chance: what backtracks, nests and repeats, in the syntax of several engines. */
import type { Random } from "./random.ts";

const ATOMS = [
  ..."a,b,ab,.,x,1, ,\\p{L},\\p{N},\\s,\\S,\\w,[^a],[a-z],[^\\s\\p{L}],\\d,\\.,^,$,\\b,q_proj,layers".split(
    ",",
  ),
];
const REPEATS = ["", "", "", "*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{0,1000}", "{1000}", "*+"];
const OPENINGS = ["(", "(?:", "(?:", "(?=", "(?!", "(?i:", "(?>", "(?<=", "(?<n>"];

export function writePattern(random: Random, depth = 0): string {
  const length = random.between(1, 4);
  let pattern = "";
  for (let i = 0; i < length; i++) {
    const atom =
      depth < 5 && random.chance(0.35)
        ? `${random.pick(OPENINGS)}${writePattern(random, depth + 1)})`
        : random.chance(0.02)
          ? random.pick(ATOMS).repeat(1000)
          : random.pick(ATOMS);
    pattern += atom + random.pick(REPEATS);
    if (random.chance(0.15)) pattern += "|";
  }
  return pattern;
}
