/** The servers of workers/, started as their first lines say. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findRuntime, packageRoot } from "../../src/cli/runtimes.ts";
import { DEFAULT_PACK } from "./environment.ts";

const root = packageRoot();

/** Far from the ports of the machine's own services; one each, since the entries take no 0. */
const FIRST_PORT = 21_787;

test.each([
  ["node", process.execPath, [join(root, "dist", "workers", "node.js")]],
  [
    "deno",
    findRuntime("deno"),
    ["serve", "-A", "--host", "127.0.0.1", "--port", String(FIRST_PORT + 1), "workers/deno.ts"],
  ],
  ["bun", findRuntime("bun"), ["workers/bun.ts"]],
])("workers/%s serves the model", async (name, program, args) => {
  const port = FIRST_PORT + ["node", "deno", "bun"].indexOf(name);
  const env = {
    ...process.env,
    MODEL: DEFAULT_PACK,
    PORT: String(port),
    DENO_NO_UPDATE_CHECK: "1",
    DO_NOT_TRACK: "1",
  };
  const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", "ignore", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const health = async (): Promise<number> => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/health`, {
        signal: AbortSignal.timeout(5_000),
      });
      return response.status;
    } catch {
      return 0;
    }
  };
  await expect.poll(health, { timeout: 60_000, interval: 100 }).toBe(200);
});
