// What mutation testing changes, and the tests that are asked whether they notice: those of the folder itself, and others
// that come through it quickly.
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Percent of the mutants of a part that a test has to notice. */
export const LEAST_SCORE = 80;

export const PARTS = {
  sampler: {
    sources: [
      "src/generate/sampler.ts",
      "src/generate/candidates.ts",
      "src/generate/largest-scores.ts",
      "src/generate/match-odds.ts",
      "src/generate/random.ts",
      "src/generate/processors.ts",
      "src/generate/exp-log.ts",
      "src/generate/logits-processors/",
    ],
    tests: [
      "tests/unit/generate/sampler.test.ts",
      "tests/unit/generate/largest-scores.test.ts",
      "tests/unit/generate/processors.test.ts",
      "tests/unit/generate/logits-processors.test.ts",
      "tests/unit/generate/prompt-lookup.test.ts",
      "tests/unit/generate/random.test.ts",
      "tests/unit/generate/exp-log.test.ts",
    ],
  },
  formats: {
    sources: ["src/formats/"],
    tests: [
      "tests/unit/formats/",
      "tests/parity/gguf-dequantize.test.ts",
      "tests/unit/checkpoints/save-gguf.test.ts",
      "tests/unit/checkpoints/save-hf.test.ts",
      "tests/unit/checkpoints/hf-directory.test.ts",
      "tests/unit/checkpoints/other-directories.test.ts",
    ],
  },
  pack: {
    sources: ["src/pack/"],
    tests: ["tests/unit/pack/"],
  },
};

/** Tests that take seconds, which with every mutant's counters in the sources are minutes: nothing is asked of them. */
export const TOO_SLOW = [
  "a member of more than 4 GiB",
  "with any few bytes changed is read or refused",
  "with more arrays than any model",
  "of several shards goes through a sink one shard at a time",
  "every code at every place reads back as itself",
];

/** The files that these are, or that lie in them. */
function filesIn(root, paths, isWanted) {
  return paths.flatMap((path) => {
    if (!path.endsWith("/")) return [path];
    const found = readdirSync(join(root, path), { recursive: true, encoding: "utf8" });
    return found.filter(isWanted).map((file) => `${path}${file}`);
  });
}

/** The parts with their files; of those that hold a named file, only it. */
export function partsOf(named, parts, root) {
  return Object.entries(parts).flatMap(([name, { sources, tests }]) => {
    const all = filesIn(root, sources, (file) => file.endsWith(".ts"));
    const chosen =
      named.length === 0 || named.includes(name)
        ? all
        : all.filter((file) => named.some((one) => file === one || file.startsWith(`${one}/`)));
    if (chosen.length === 0) return [];
    const testFiles = filesIn(root, tests, (file) => file.endsWith(".test.ts"));
    return [{ name, sources: chosen, tests: testFiles }];
  });
}
