// pronk itself: on the Node that runs this and on a newer one, also at 128 bits, on Deno, Bun and workerd.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandLineOn } from "../../../dist/src/cli/child.js";
import { findRuntime } from "../../../dist/src/cli/runtimes.js";

/** Beside the file given: what llama.cpp has its fastest kernels for. */
export const formats = ["Q4_0"];

const RUNTIME_LIMIT_MS = 60_000;

const SIMD_WIDTH = new URL("../../../dist/src/platform/node/simd-width.js", import.meta.url);
const PRINT_WIDTH = `import { setSimdWidth } from ${JSON.stringify(SIMD_WIDTH.href)};
console.log(setSimdWidth("auto").bits);`;

/** Further formats and depths are measured on the newest Node alone. */
export function contenders({ root, pack, manifest, given, chatIds, reps, contexts }) {
  const run = (program, args) =>
    execFileSync(program, args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      timeout: RUNTIME_LIMIT_MS,
    }).trim();
  execFileSync(process.execPath, [join(root, "scripts", "runtimes.mjs")], { stdio: "ignore" });
  const common = ourFacts(root, manifest);
  const built = join(root, "dist", "src", "cli", "main.js");
  const args = ["bench", pack, "--reps", `${reps}`, "--json"];
  if (contexts !== undefined) args.push("--contexts", contexts);

  const programs = new Map(
    [process.execPath, findRuntime("node")].map((program) => [
      run(program, ["--version"]).slice(1),
      program,
    ]),
  );
  const newest = [...programs.keys()].sort((a, b) => parseFloat(b) - parseFloat(a))[0];
  const onNode = [...programs].map(([node, program]) => ({
    ...common,
    name: `pronk on Node ${node.split(".")[0]}`,
    ...(node === newest && { role: "newest Node" }),
    runtime: `Node ${node}`,
    program,
    args: [built, ...args],
  }));
  if (!given || contexts !== undefined) return onNode.filter(({ role }) => role);

  // What 256-bit vectors are worth, where they are taken unasked.
  const [wide] = onNode.filter(({ role }) => role);
  const isWide = run(wide.program, ["--input-type=module", "-e", PRINT_WIDTH]) === "256";
  const narrow = {
    ...wide,
    name: `${wide.name} at 128 bits`,
    role: undefined,
    args: [...wide.args, "--simd-width", "128"],
  };
  const onOthers = ["Deno", "Bun"].map((runtime) => {
    const line = commandLineOn(runtime.toLowerCase());
    const [number] = /\d+\.\d+\.\d+/.exec(run(line.program, ["--version"]));
    return {
      ...common,
      name: `pronk on ${runtime}`,
      runtime: `${runtime} ${number}`,
      weights: `${common.weights}, sources unbuilt`,
      program: line.program,
      args: [...line.args, ...args],
    };
  });
  const workerd = createRequire(join(root, "package.json"))("workerd/package.json").version;
  const onWorkerd = {
    ...common,
    name: "pronk on workerd",
    runtime: `workerd ${workerd}`,
    weights:
      `${common.weights}; timed from outside, as requests over HTTP; first token: of a new workerd's first ` +
      "request, the pack read from the local R2",
    program: process.execPath,
    args: [
      fileURLToPath(new URL("./pronk/workerd.mjs", import.meta.url)),
      pack,
      chatIds.join(","),
      `${reps}`,
    ],
  };
  return [...onNode, ...(isWide ? [narrow] : []), ...onOthers, onWorkerd];
}

/** What is the same of every contender of ours. */
export function ourFacts(root, manifest) {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { requested, profile, kv } = manifest.quantization;
  const weights = `the ${profile} pack made of the file (--quant ${requested}), ${kv} cache`;
  return { peer: "pronk", version, weights };
}
