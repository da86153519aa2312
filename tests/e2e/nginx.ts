/** nginx with the repository's own configuration, over replicas on ports of their own. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { systemProgram } from "./system-program.ts";

export interface Nginx {
  readonly url: string;
  close(): Promise<void>;
}

const START_TIMEOUT_MS = 30_000;

/** @param replicas `http://127.0.0.1:40001`, in the place of those that the file names. */
export async function startNginx(replicas: readonly string[]): Promise<Nginx> {
  const program = systemProgram("nginx");
  const folder = mkdtempSync(join(tmpdir(), "pronk-nginx-"));
  const port = await freePort();
  const servers = replicas.map((url) => `server ${new URL(url).host} max_fails=1 fail_timeout=5s;`);
  const given = readFileSync(join(packageRoot(), "deploy", "nginx.conf"), "utf8");
  const [own] = /(?:server 127\.0\.0\.1:\d+ [^;]+;\s+)+/.exec(given) ?? [];
  if (own?.match(/;/g)?.length !== 3) throw new Error("deploy/nginx.conf: not three replicas");
  const conf = given
    .replace(own, `${servers.join("\n")}\n`)
    .replace("listen 127.0.0.1:8080", `listen 127.0.0.1:${port}`)
    .replaceAll("/tmp/pronk-nginx", join(folder, "nginx"));
  writeFileSync(join(folder, "nginx.conf"), conf);
  const args = ["-c", join(folder, "nginx.conf"), "-g", "daemon off;"];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  for (const started = performance.now(); ; ) {
    if (child.exitCode !== null) throw new Error(`nginx: ${output}`);
    const isUp = await fetch(url, { signal: AbortSignal.timeout(1000) }).then(
      () => true,
      () => false,
    );
    if (isUp) break;
    if (performance.now() - started > START_TIMEOUT_MS) {
      child.kill("SIGKILL");
      throw new Error(`nginx: does not answer: ${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    async close(): Promise<void> {
      child.kill("SIGTERM"); // also its workers
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
