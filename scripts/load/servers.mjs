/** What the load is sent to: `pronk serve` as a process of its own, or the deployable Worker on a real workerd. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startWorkerd } from "../../dist/src/cli/workerd.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const READY_MS = 60_000;
const CLOSE_MS = 10_000;
const REPLY_MS = 30_000;

/** @param nodeArgs of Node itself, such as --expose-gc. */
export async function startNode(model, options = [], { nodeArgs = [], env = {} } = {}) {
  const program = join(root, "dist", "src", "cli", "main.js");
  const args = [...nodeArgs, program, "serve", model, "--port", "0", "--threads", "1", ...options];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let output = "";
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const url = await new Promise((resolve, reject) => {
    const fail = (why) => {
      child.kill("SIGKILL");
      reject(new Error(`pronk serve: ${why}: ${output}`));
    };
    const timer = setTimeout(() => fail("not ready in time"), READY_MS);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output = (output + text).slice(-10_000);
        const found = / at (http:\/\/\S+)\/v1, ready/.exec(output)?.[1];
        if (found === undefined) return;
        clearTimeout(timer);
        resolve(found);
      });
    }
    child.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`pronk serve: ended with ${code}: ${output}`));
    });
  });
  return {
    url,
    child,
    output: () => output,
    async close() {
      const timer = setTimeout(() => child.kill("SIGKILL"), CLOSE_MS);
      if (child.exitCode === null) child.kill("SIGTERM");
      await exited;
      clearTimeout(timer);
    },
  };
}

export const startWorker = (pack, options) => startWorkerd("cloudflare", pack, options);

/** Arguments of Node by which `probe` is answered. */
export const PROBED = ["--expose-gc", "--import", new URL("./probe.mjs", import.meta.url).href];

/** What the server's process holds after a collection. */
export function probe(child) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("load: the probe does not answer")), REPLY_MS);
    child.once("message", (held) => {
      clearTimeout(timer);
      resolve(held);
    });
    child.send("look");
  });
}
