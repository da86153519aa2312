/** Regular expressions written by chance: what backtracks, nests and repeats, in the syntax of several engines. */
import type { Random } from "./random.ts";

const ATOMS = [
  ..."a,b,ab,.,x,1, ,\\p{L},\\p{N},\\s,\\S,\\w,[^a],[a-z],[^\\s\\p{L}],\\d,\\.,^,$,\\b,q_proj,layers".split(
    ",",
  ),
];
const REPEATS = ["", "", "", "*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{0,1000}", "{1000}", "*+"];
const OPENINGS = ["(", "(?:", "(?:", "(?=", "(?!", "(?i:", "(?>", "(?<=", "(?<n>"];

/** What has exponentially many ways to match, and fails at the end of all of them. */
function ambiguous(random: Random): string {
  const atom = random.pick(["a", ".", "\\p{L}", "[a-z]", "\\S", "\\w"]);
  const loop = random.pick([
    `(${atom}+)+`,
    `(?:${atom}*)*`,
    `(${atom}|${atom}${atom})+`,
    `(?:${atom}?){40}${atom}{40}`,
    `(?=(${atom}+)+\\d)`,
  ]);
  return loop + random.pick(["x", "$", "(?!!)", "\\d"]);
}

export function writePattern(random: Random, depth = 0): string {
  if (depth === 0 && random.chance(0.05)) return ambiguous(random);
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
