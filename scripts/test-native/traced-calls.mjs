/**
 * Compares the buffers in which the kernels ran under the sanitizers, call by call, with what the TypeScript side holds
 * each call to touch (tests/support/kernel-footprints.ts).
 */
import { build } from "esbuild";

/** Where tests store a part of longer rows: those calls leave room behind their inputs. */
const ROOMY = /^kv_store_/;

async function readFootprints(root) {
  const { outputFiles } = await build({
    entryPoints: [`${root}/tests/support/kernel-footprints.ts`],
    bundle: true,
    format: "esm",
    write: false,
  });
  const code = Buffer.from(outputFiles[0].contents).toString("base64");
  return import(`data:text/javascript;base64,${code}`);
}

/** The problems found in the output of `main trace`, and how many calls it has. */
export async function checkTrace(root, output) {
  const { kernelFootprint } = await readFootprints(root);
  const problems = new Map();
  const exact = new Map();
  let calls = 0;
  for (const [, kernel, values] of output.matchAll(/^call (\S+) (.*)$/gm)) {
    calls++;
    const found = values.split(" ").map(Number);
    for (const [argument, bytes] of kernelFootprint(kernel, found)) {
      if (bytes === undefined) continue;
      const place = `${kernel}, argument ${argument}`;
      if (found[argument] === bytes) exact.set(place, (exact.get(place) ?? 0) + 1);
      else if (found[argument] < bytes || !ROOMY.test(kernel)) {
        problems.set(place, `ran in ${found[argument]} bytes, planned ${bytes}: (${values})`);
      } else exact.set(place, exact.get(place) ?? 0);
    }
  }
  for (const [place, count] of exact) {
    if (count === 0) problems.set(place, "never ran in exactly what is planned");
  }
  return { calls, problems: [...problems].map(([place, problem]) => `${place}: ${problem}`) };
}
