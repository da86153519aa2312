/** The guides and tutorials, command by command, as somebody types them in an empty folder with the package installed. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findRuntime, packageRoot } from "../../src/cli/runtimes.ts";
import { knownModel } from "../../src/hub/known-models.ts";
import { outputDirectory } from "../../src/platform/node/index.ts";
import { openPage } from "../browser/open-page.ts";
import { openDocument } from "../support/document-commands.ts";
import { writeRandomLora } from "../support/random-lora.ts";
import { MODEL_FILE } from "./environment.ts";
import { runDocument } from "./run-document.ts";
import { wranglerAccount } from "./wrangler-account.ts";

const root = packageRoot();
const guides = readdirSync(join(root, "docs", "guides")).filter(
  (name) => name.endsWith(".md") && name !== "README.md",
);
const tutorials = readdirSync(join(root, "docs", "tutorials"));
const model = knownModel("smollm2-135m-instruct")!;

/** Far from the ports of the machine's own services. */
const moved = (text: string): string => text.replaceAll(/\b87(\d\d)\b/g, "287$1");

/** Packed once for all of them. */
const cache = join(root, ".cache", "documents");

let parent: string;

beforeAll(async () => {
  parent = mkdtempSync(join(tmpdir(), "pronk-guides-"));
  const models = join(cache, "models", model.name);
  rmSync(models, { recursive: true, force: true });
  mkdirSync(models, { recursive: true });
  symlinkSync(MODEL_FILE, join(models, model.file));
  const modules = join(parent, "node_modules");
  mkdirSync(join(modules, ".bin"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (!name.startsWith(".")) symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  symlinkSync(root, join(modules, "pronk"));
  symlinkSync(join(root, "dist/src/cli/main.js"), join(modules, ".bin", "pronk"));
  for (const runtime of ["deno", "bun"] as const) {
    symlinkSync(findRuntime(runtime), join(modules, ".bin", runtime));
  }
  cpSync(join(root, "README.md"), join(parent, "README.md"));
  const sizes = { hidden: 576, kvDim: 192, layers: 30, r: 8, size: 0.15, seed: 1 };
  await writeRandomLora(outputDirectory(join(parent, "sql-lora")), sizes);
});

afterAll(() => rmSync(parent, { recursive: true, force: true, maxRetries: 5 }));

/** Runs a document in a folder of its own. */
async function follow(
  file: string,
  typed: (command: string, folder: string) => string | undefined,
  last?: () => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(parent, "reader-"));
  cpSync(join(parent, "README.md"), join(folder, "README.md"));
  cpSync(join(parent, "sql-lora"), join(folder, "sql-lora"), { recursive: true });
  const bin = [join(parent, "node_modules", ".bin"), join(root, "node_modules", ".bin")];
  const document = openDocument(`docs/${file}`);
  const here = new Map(document.commands.map((command) => [moved(command), command]));
  await runDocument(join(root, "docs", file), {
    folder,
    moved,
    typed(command) {
      const own = here.get(command);
      if (own === undefined) return undefined; // said beside it, or done by another test
      document.ran(own);
      return typed(command, folder);
    },
    ...(last && { last }),
    env: {
      ...process.env,
      PATH: [...bin, process.env.PATH].join(":"),
      PRONK_CACHE: cache,
      PRONK_MODEL: "",
      PORT: "28787",
      HF_HUB_OFFLINE: "1",
      NO_COLOR: "1",
      WRANGLER_SEND_METRICS: "false",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      DENO_NO_UPDATE_CHECK: "1",
      DO_NOT_TRACK: "1",
    },
  });
  document.expectAllRan();
}

test.each(guides)("guides/%s", (name) => follow(`guides/${name}`, (command) => command));

/** What would fetch packages, which are there. */
const INSTALLS = /^(?:npm install|bun (?:install|add))\b/;

const LOGIN = "npx wrangler login";

/** What needs an account, for which a stand-in is there. */
const ACCOUNT = [LOGIN, "npm run deploy", "npx wrangler secret put PRONK_API_KEYS"];

/** The same on this machine: packages that lie above, ports of the tests'. */
const INSTEAD: Readonly<Record<string, string>> = {
  "deno task start":
    "ln -sfn ../../node_modules node_modules && deno run --node-modules-dir=manual --no-lock -A main.ts",
  // A development server gives out its project's own files alone.
  "npm install pronk vite": `mkdir -p node_modules/pronk/dist node_modules/pronk/wasm && cd node_modules/pronk &&
    cp -r ${root}/dist/src dist/ && cp -r ${root}/wasm/dist wasm/ && cp ${root}/package.json . &&
    ln -s ${root}/node_modules/vite ..`,
  "npm run dev":
    "npm run model -- --local && wrangler dev --ip 127.0.0.1 --port 28787 --inspector-port 0",
};

test.each(tutorials)("tutorials/%s", (name) =>
  follow(
    `tutorials/${name}`,
    (command, folder) => {
      if (command === LOGIN) {
        const project = join(folder, "hello");
        const { env } = wranglerAccount(project, "https://hello.example.workers.dev");
        const variables = Object.entries(env).map(([key, value]) => `export ${key}="${value}"\n`);
        writeFileSync(join(project, "account"), variables.join(""));
      }
      if (ACCOUNT.includes(command)) return `. ./account && ${command}`;
      // Links to the same packages are there.
      return INSTEAD[command] ?? (INSTALLS.test(command) ? undefined : command);
    },
    name === "browser.md" ? askPage : undefined,
  ),
);

/** The tutorial's page, used as it says. */
async function askPage(): Promise<void> {
  const page = await openPage("http://127.0.0.1:28787/");
  try {
    await page.until("document.querySelector('button:enabled') !== null || undefined");
    await page.until("(document.querySelector('button').click(), true)");
    const said = "document.querySelector('#answer').textContent";
    expect(await page.until(`${said}.endsWith('.') ? ${said} : undefined`)).toBe(
      "A week is approximately 7 days.",
    );
  } finally {
    await page.close();
  }
}

test("each has something to type, and what is done instead is in one of them", () => {
  expect(guides.length).toBeGreaterThan(8);
  expect(tutorials.length).toBeGreaterThan(4);
  const texts = tutorials.map((name) =>
    readFileSync(join(root, "docs", "tutorials", name), "utf8"),
  );
  for (const command of [...Object.keys(INSTEAD), ...ACCOUNT]) {
    expect(
      texts.some((text) => text.includes(`\n${command}\n`)),
      command,
    ).toBe(true);
  }
});
