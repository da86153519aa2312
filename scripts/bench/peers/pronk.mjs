// pronk itself, on the Node that runs this and on a newer one.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findRuntime } from "../../../dist/src/cli/runtimes.js";

export function contenders({ root, pack, manifest, reps }) {
  const run = (program, args) =>
    execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
  run(process.execPath, [join(root, "scripts", "runtimes.mjs")]);
  const newer = findRuntime("node");
  const programs = new Map(
    [process.execPath, newer].map((program) => [run(program, ["--version"]).slice(1), program]),
  );
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { requested, profile, kv } = manifest.quantization;
  return [...programs].map(([node, program]) => ({
    name: `pronk on Node ${node.split(".")[0]}`,
    peer: "pronk",
    version,
    runtime: `Node ${node}`,
    weights: `the ${profile} pack made of the file (--quant ${requested}), ${kv} cache`,
    program,
    args: [
      join(root, "dist", "src", "cli", "main.js"),
      "bench",
      pack,
      "--reps",
      `${reps}`,
      "--json",
    ],
  }));
}
