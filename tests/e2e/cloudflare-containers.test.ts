/** deploy/cloudflare-containers: what wrangler would upload and build, without network and container engine. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { openDocument } from "../support/document-commands.ts";

const root = packageRoot();

/** The front alone: no engine, no kernels. */
const MAX_SCRIPT_BYTES = 60_000;

test("wrangler accepts the configuration, and would build the repository's Dockerfile", () => {
  const folder = mkdtempSync(join(tmpdir(), "pronk-containers-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  // In the place of Docker, which wrangler asks for also where it uploads nothing: writes down what it is asked.
  const docker = join(folder, "docker");
  const asked = join(folder, "asked");
  const built = join(folder, "built");
  writeFileSync(docker, `#!/bin/sh\necho "$*" >> ${asked}\n[ "$1" != build ] || cat > ${built}\n`);
  chmodSync(docker, 0o755);
  const wrangler = join(root, "node_modules", "wrangler", "bin", "wrangler.js");
  const page = openDocument("docs/deploy/cloudflare-containers.md");
  /** A command of the page, by wrangler or by what stands in its place where there is no account. */
  const run = (command: string, program: string, more: readonly string[] = []): string =>
    execFileSync(process.execPath, [program, ...command.split(" ").slice(2), ...more], {
      cwd: root,
      encoding: "utf8",
      timeout: 360_000,
      env: {
        ...process.env,
        WRANGLER_DOCKER_BIN: docker,
        WRANGLER_SEND_METRICS: "false",
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        CI: "1",
        STAND_IN_LOG: join(folder, "log"),
        STAND_IN_URL: "https://pronk.example.com",
        STAND_IN_FOR: wrangler,
      },
    });
  const standIn = join(root, "tests", "e2e", "wrangler-stand-in.mjs");
  const output = run(page.take("--dry-run"), wrangler, ["--outdir", folder]);
  expect(output).toMatch(/env\.ENGINES \(EngineContainer\) +Durable Object/);
  expect(output).toContain("--dry-run: exiting now");
  expect(readFileSync(asked, "utf8")).toMatch(
    new RegExp(`^build .*--platform linux/amd64 .*-f - ${root.replace(/\/$/, "")}$`, "m"),
  );
  expect(readFileSync(built, "utf8")).toBe(readFileSync(join(root, "Dockerfile"), "utf8"));
  const script = gzipSync(readFileSync(join(folder, "cloudflare-containers.js")));
  expect(script.length).toBeLessThan(MAX_SCRIPT_BYTES);

  const [deploy = ""] = page.commands.filter((one) => /^npx wrangler deploy (?!.*dry)/.test(one));
  page.ran(deploy);
  expect(run(deploy, standIn)).toContain("https://pronk.example.com");
  run(page.take("secret put"), standIn);
  expect(readFileSync(join(folder, "log"), "utf8").trim().split("\n").at(-1)).toContain("secret");
  page.expectAllRan();
});
