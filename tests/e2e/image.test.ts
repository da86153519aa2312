/** The container image, built and run by its own steps: as another user, in folders of its own. */
import { type ChildProcess, execFileSync } from "node:child_process";
import {
  accessSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDocument } from "../support/document-commands.ts";
import { MODEL_FILE, QUESTION } from "./environment.ts";
import { Builder, type Image, type User } from "./image.ts";
import { systemProgram } from "./system-program.ts";

const isRoot = process.getuid?.() === 0;
const USER = "pronk-image-test";
/** Node, its packages and the kernels; the model is beside it. */
const MAX_IMAGE_MB = 30;

/** A free port, as -p finds one. */
const PORT = "21795";
const FRONT_PORT = "21796";

describe.skipIf(!isRoot)("the image", () => {
  let root: string;
  let builder: Builder;
  let image: Image;
  let user: User;
  const running: ChildProcess[] = [];

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "pronk-image-"));
    execFileSync(systemProgram("useradd", "passwd"), [
      "--system",
      "--no-create-home",
      "--shell",
      "/usr/sbin/nologin",
      USER,
    ]);
    const id = (flag: string): number => Number(execFileSync("id", [flag, USER]));
    user = { uid: id("-u"), gid: id("-g") };
    builder = new Builder(root, user);
    // Where that user may read it.
    const model = join(root, basename(MODEL_FILE));
    copyFileSync(MODEL_FILE, model);
    image = builder.build({ MODEL: model });
  }, 280_000);

  afterAll(() => {
    for (const child of running) child.kill("SIGKILL");
    if (user !== undefined) execFileSync("userdel", [USER], { stdio: "ignore" });
    if (root !== undefined) rmSync(root, { recursive: true, force: true });
  });

  const start = async (port: string, command?: readonly string[]): Promise<ChildProcess> => {
    const env = { PORT: port };
    expect(builder.checkHealth(image, env)).toBe(1);
    const child = builder.start(image, command, env);
    running.push(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const health = (): number | null | string =>
      child.exitCode === null ? builder.checkHealth(image, env) : output;
    await expect.poll(health, { timeout: 180_000, interval: 200 }).toBe(0);
    return child;
  };

  const ask = async (port: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({
        model: "smollm2-135m-instruct",
        messages: [{ role: "user", content: QUESTION }],
        temperature: 0,
      }),
      signal: AbortSignal.timeout(180_000),
    });
    return (await response.json()).choices[0].message.content;
  };

  const ended = (child: ChildProcess): Promise<number | null> =>
    new Promise((resolve) => child.once("exit", resolve));

  test("starts without root and network, is healthy, answers, and ends when it is told to", async () => {
    // As its page says; -p is the port here.
    const page = openDocument("docs/deploy/container.md");
    page.take("docker build -t pronk .");
    expect(page.take("docker run --rm -p 8787:8787 pronk")).toMatch(/ pronk$/);
    const child = await start(PORT);
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    expect(status).toMatch(new RegExp(`^Uid:\\s+${user.uid}\\s+${user.uid}\\s`, "m"));
    expect(await ask(PORT)).toBe("A week is approximately 7 days.");

    const curl = page.take("curl").replace("127.0.0.1:8787", `127.0.0.1:${PORT}`);
    const said = execFileSync("sh", ["-c", curl], { encoding: "utf8", timeout: 180_000 });
    expect(said).toContain("A week is approximately 7 days.");

    const [, args = ""] = / pronk (.+)$/.exec(page.take(" front ")) ?? [];
    const upstream = `http://127.0.0.1:${PORT}`;
    const front = await start(FRONT_PORT, args.replace(/http:\S+/, upstream).split(" "));
    page.expectAllRan();
    expect(await ask(FRONT_PORT)).toBe("A week is approximately 7 days.");

    for (const one of [front, child]) {
      const exit = ended(one);
      one.kill("SIGTERM");
      expect(await exit).toBe(0);
    }
    expect(builder.checkHealth(image, { PORT })).toBe(1);
  });

  test("holds what it needs, and its user cannot change it", () => {
    const app = join(image.folder, "home/node/pronk");
    const packages = readdirSync(join(app, "node_modules"));
    expect(packages).toContain("hono");
    expect(packages).not.toContain("typescript");
    for (const folder of ["src", "tests", "scripts"])
      expect(existsSync(join(app, folder))).toBe(false);
    const [kb] = execFileSync("du", ["-sk", app], { encoding: "utf8" }).split("\t");
    expect(Number(kb) / 1000).toBeLessThan(MAX_IMAGE_MB);
    const writable = execFileSync("find", [app, "-user", USER], { encoding: "utf8" });
    expect(writable).toBe("");
    expect(() => accessSync(join(image.folder, "home/node/pulled"))).toThrow();
  });
});
