/** A real S3 server on a free port, with an empty store. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AwsClient } from "aws4fetch";
import { packageRoot } from "../../src/cli/runtimes.ts";

const INSTALL_TIMEOUT_MS = 580_000;
const START_TIMEOUT_MS = 90_000;

export interface S3Server {
  readonly kind: "versitygw" | "moto";
  readonly url: string;
  /** What the client of a command needs. */
  readonly env: Readonly<Record<string, string>>;
  /** An object by its key; undefined where there is none. */
  read(bucket: string, key: string): Promise<Uint8Array | undefined>;
  /** Keys and times of all objects of a bucket that begin with a prefix. */
  list(bucket: string, prefix: string): Promise<Map<string, string>>;
  /** Lines that it has written so far, one a request. */
  log(): string[];
  close(): Promise<void>;
}

const CREDENTIALS = { accessKeyId: "key", secretAccessKey: "secret-key" };
const REGION = "us-east-1";

export async function startS3Server(): Promise<S3Server> {
  const root = packageRoot();
  const { kind, program, args, env } = JSON.parse(
    execFileSync(process.execPath, [join(root, "scripts", "s3-server.mjs")], {
      encoding: "utf8",
      timeout: INSTALL_TIMEOUT_MS,
    }),
  );
  const folder = await mkdtemp(join(tmpdir(), "pronk-s3-"));
  const port = String(await freePort());
  const url = `http://127.0.0.1:${port}`;
  const filled = args.map((arg: string) => arg.replace("PORT", port).replace("DIR", folder));
  const child = spawn(program, filled, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (text: string): void => {
    output += text;
  };
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const close = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const client = new AwsClient({ ...CREDENTIALS, region: REGION, service: "s3", retries: 0 });
  const get = (path: string): Promise<Response> =>
    client.fetch(`${url}/${path}`, { signal: AbortSignal.timeout(30_000) });
  const started = performance.now();
  while (!(await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined))) {
    if (child.exitCode !== null || performance.now() - started > START_TIMEOUT_MS) {
      await close();
      throw new Error(`${kind}: not listening: ${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    kind,
    url,
    env: {
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_REGION: REGION,
    },
    log: () => output.split("\n"),
    async read(bucket, key) {
      const answer = await get(`${bucket}/${key}`);
      if (answer.status === 404) return undefined;
      if (!answer.ok) throw new Error(`${key}: ${answer.status} ${await answer.text()}`);
      return new Uint8Array(await answer.arrayBuffer());
    },
    async list(bucket, prefix) {
      const answer = await get(`${bucket}?list-type=2&prefix=${encodeURIComponent(prefix)}`);
      if (answer.status === 404) return new Map();
      const text = await answer.text();
      const field = (xml: string, name: string): string =>
        new RegExp(`<${name}>(.*?)</${name}>`).exec(xml)?.[1] ?? "";
      return new Map(
        [...text.matchAll(/<Contents>.*?<\/Contents>/gs)].map(([xml]) => [
          field(xml, "Key"),
          field(xml, "LastModified"),
        ]),
      );
    },
    close,
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
