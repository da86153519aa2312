/** docs/deploy/cloudflare.md, command by command, with a stand-in for the account: what goes to Cloudflare stays here. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { knownModel } from "../../src/hub/known-models.ts";
import { openDocument } from "../support/document-commands.ts";
import { type ChildServer, startServer } from "./child-server.ts";
import { DEFAULT_PACK, MODEL_FILE, SMALL_PACK } from "./environment.ts";
import { type S3Server, startS3Server } from "./s3-server.ts";
import { type WranglerAccount, wranglerAccount } from "./wrangler-account.ts";

const root = packageRoot();
const main = join(root, "dist", "src", "cli", "main.js");
const model = knownModel("smollm2-135m-instruct")!;

let project: string;
let live: ChildServer;
let s3: S3Server;
let account: WranglerAccount;
let env: Record<string, string>;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "pronk-project-"));
  const models = join(project, "cache", "models", model.name);
  await mkdir(models, { recursive: true });
  await symlink(MODEL_FILE, join(models, model.file));
  live = await startServer({ program: process.execPath, args: [main] }, [SMALL_PACK]);
  s3 = await startS3Server();
  account = wranglerAccount(project, live.url);
  env = {
    ...s3.env,
    ...account.env,
    PRONK_CACHE: join(project, "cache"),
    PRONK_MODEL: "",
    HF_HUB_OFFLINE: "1",
  };
}, 600_000);

afterAll(async () => {
  await live?.close();
  await s3?.close();
  await rm(project, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What wrangler was asked meanwhile, in short. */
  readonly asked: readonly string[];
}

let noted = 0;

async function run(program: string, args: readonly string[]): Promise<Outcome> {
  const outcome = await new Promise<Omit<Outcome, "asked">>((resolve) => {
    execFile(
      program,
      args,
      { cwd: project, env: { ...process.env, ...env }, timeout: 280_000, maxBuffer: 2 ** 26 },
      (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
  const calls = account.asked();
  const asked = calls.slice(noted).map(shortly);
  noted = calls.length;
  return { ...outcome, asked };
}

/** `r2 object put manifest.json`, `deploy`, `deploy --dry-run`. */
function shortly(args: readonly string[]): string {
  if (args[0] === "deploy") return args.includes("--dry-run") ? "deploy --dry-run" : "deploy";
  if (args[1] !== "object") return args.join(" ");
  return [...args.slice(0, 3), args[3].split("/").slice(2).join("/")].join(" ");
}

const pronk = (...args: string[]): Promise<Outcome> =>
  run(process.execPath, [main, "deploy", ...args]);

/** The page's commands in their order, without the prompts of shells. */
const page = openDocument("docs/deploy/cloudflare.md");
const { text, commands } = page;

const SMOKE = /smoke +"The capital of France is" -> ".*Paris.*, the same as here/;

/** What each command has to do, by how it stands on the page. */
const CHECKS: Record<string, (command: string) => Promise<void>> = {
  async "npx pronk deploy smollm2-135m-instruct --dry-run"() {
    const { code, out, err, asked } = await pronk("smollm2-135m-instruct", "--dry-run");
    expect(code, err).toBe(0);
    expect(asked).toEqual(["deploy --dry-run"]);
    // The page shows it as it is: the same lines, with other numbers in places.
    const shape = (lines: string): string =>
      lines.replace(/[\d,.]+/g, "0").replace(/release \w+/g, "");
    const shown = /```\n(needs[\s\S]*?)```/.exec(text)?.[1] ?? "";
    const kernels = /with the \w+ kernels/;
    expect(shape(out).replace(kernels, "")).toBe(shape(shown).replace(kernels, ""));
  },
  async "npx pronk deploy smollm2-135m-instruct --local"() {
    const { code, out, err, asked } = await pronk("smollm2-135m-instruct", "--local");
    expect(code, err).toBe(0);
    expect(out).toMatch(SMOKE);
    expect(out.trim().split("\n").at(-1)).toMatch(/^serve +npx wrangler dev --config/);
    expect(asked).not.toContain("deploy");
    const again = await pronk("smollm2-135m-instruct", "--local", "--no-measure");
    expect(again.out).toMatch(/upload +0 of 7 objects sent/);
  },
  async "npx pronk deploy smollm2-135m-instruct"() {
    const { code, out, err, asked } = await pronk("smollm2-135m-instruct");
    expect(code, err).toBe(0);
    expect(out).toMatch(/upload +7 of 7 objects sent .* is current now/);
    expect(out).toMatch(SMOKE);
    expect(out).toContain(`live     ${live.url}`);
    expect(asked.slice(0, 2)).toEqual(["deploy --dry-run", "r2 bucket create pronk-models"]);
    const order = asked.map((line) => line.replace(/[0-9a-f]{64}/, "HASH"));
    // What is read before the switch tells what another deployment has switched meanwhile, and in the end which older
    // releases nobody needs any more: none, yet.
    expect(order.slice(-7)).toEqual([
      "r2 object put releases/HASH.json",
      "r2 object get manifest.json",
      "r2 object put releases.json",
      "r2 object put manifest.json",
      "deploy",
      "r2 object get manifest.json",
      "r2 object get releases.json",
    ]);
    expect(order.filter((line) => line === "r2 object put HASH.bin").length).toBe(7);
    const again = await pronk("smollm2-135m-instruct", "--no-measure");
    expect(again.code, again.err).toBe(0);
    expect(again.asked.filter((line) => line.startsWith("r2 object put"))).toEqual([]);
  },
  async "npx wrangler secret put PRONK_API_KEYS --name smollm2-135m-instruct"(command) {
    const wrangler = join(project, "node_modules", "wrangler", "stand-in.mjs");
    const { asked } = await run(process.execPath, [wrangler, ...command.split(" ").slice(2)]);
    expect(asked).toEqual(["secret put PRONK_API_KEYS --name smollm2-135m-instruct"]);
  },
  async "npx pronk deploy smollm2-135m-instruct --endpoint https://ACCOUNT.r2.cloudflarestorage.com"() {
    const { code, out, err, asked } = await pronk("smollm2-135m-instruct", "--endpoint", s3.url);
    expect(code, err).toBe(0);
    expect(out).toMatch(/upload +7 of 7 objects sent/);
    expect(asked).toEqual(["deploy --dry-run", "deploy"]);
    expect(await s3.read("pronk-models", "smollm2-135m-instruct/manifest.json")).toBeDefined();
  },
  async "npx pronk deploy --rollback --name smollm2-135m-instruct"() {
    const name = ["--name", "smollm2-135m-instruct", "--endpoint", s3.url];
    const other = await pronk(DEFAULT_PACK, "--upload-only", ...name);
    expect(other.code, other.err).toBe(0);
    const { code, out, err, asked } = await pronk("--rollback", ...name);
    expect(code, err).toBe(0);
    expect(out).toMatch(/^release +[0-9a-f]{12} -> [0-9a-f]{12}: smollm2-135m-instruct/);
    expect(out).toMatch(/smoke +"The capital of France is" -> ".*Paris/);
    expect(asked).toEqual(["deploy"]);
  },
};

/** The last on the page. */
const OBJECTS = "npx pronk deploy smollm2-135m-instruct --topology objects --local";
CHECKS[OBJECTS] = async () => {
  const args = ["smollm2-135m-instruct", "--topology", "objects", "--local"];
  const { code, out, err } = await pronk(...args);
  expect(code, err).toBe(0);
  expect(out).toMatch(/1\. smollm2-135m-instruct-engine-1 +10\d\.\d MB +engine objects/);
  expect(out).toMatch(/2\. smollm2-135m-instruct +0\.0 MB +routes and tokenizer/);
  expect(out).toMatch(/an hour of awake objects +\$0\.0058/);
  expect(out).toMatch(/upload +0 of 7 objects sent/);
  expect(out).toMatch(SMOKE);
};

const EXPORTS = "export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...";

test("the page's commands are those that are tried here", () => {
  expect(commands.filter((command) => command !== EXPORTS)).toEqual(Object.keys(CHECKS));
});

test.each(Object.entries(CHECKS))("%s", async (command, check) => {
  await check(command);
  page.ran(command);
});

test("none is left out", () => {
  page.ran(EXPORTS); // what env has
  page.expectAllRan();
});
