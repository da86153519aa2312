// llama.cpp, native: the prebuilt binaries of node-llama-cpp, which choose the best instruction set
// of this machine by themselves.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installPeer } from "../install-peer.mjs";

const VERSION = "3.22.1";

/** Binaries without a GPU, by process.platform and process.arch. */
const BINARIES = {
  "linux x64": "linux-x64",
  "linux arm64": "linux-arm64",
  "darwin x64": "mac-x64",
  "darwin arm64": "mac-arm64-metal",
  "win32 x64": "win-x64",
  "win32 arm64": "win-arm64",
};

/** Beside the file given: Q4_0 has its fastest kernels, Q8_0 is what many use. */
export const formats = ["Q4_0", "Q8_0"];

export function contenders({ root, model, chatIds, reps, contexts }) {
  const system = `${process.platform} ${process.arch}`;
  const binaries = BINARIES[system];
  if (binaries === undefined) throw new Error(`node-llama-cpp: no binaries for ${system}`);
  const folder = installPeer(root, "node-llama-cpp", {
    "node-llama-cpp": VERSION,
    [`@node-llama-cpp/${binaries}`]: VERSION,
  });
  const module = join(folder, "node_modules", "node-llama-cpp", "dist", "index.js");
  const child = (name) => fileURLToPath(new URL(`./node-llama-cpp/${name}.mjs`, import.meta.url));
  const work = [contexts ?? chatIds.join(",")];
  return [
    {
      name: "node-llama-cpp",
      peer: "node-llama-cpp",
      version: VERSION,
      runtime: `Node ${process.versions.node}`,
      weights: "the file as it is, f16 cache",
      program: process.execPath,
      args: [child(contexts ? "contexts" : "child"), module, model, ...work, `${reps}`],
    },
  ];
}
