/** The tutorials, command by command, as somebody types them in an empty folder with the package installed. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { openPage } from "../browser/open-page.ts";
import { openDocument } from "../support/document-commands.ts";
import { reader } from "./reader.ts";
import { wranglerAccount } from "./wrangler-account.ts";

const root = packageRoot();
const moved = (text: string): string => text.replaceAll(/\b87(\d\d)\b/g, "297$1");
const PORT = moved("8787");
const follow = reader("tutorials", moved);
const tutorials = readdirSync(join(root, "docs", "tutorials"));

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
  "npm run dev": `npm run model -- --local && wrangler dev --ip 127.0.0.1 --port ${PORT} --inspector-port 0`,
};

test.for(tutorials)("%s", (name, { signal }) =>
  follow(openDocument(`docs/tutorials/${name}`), {
    signal,
    typed(command, folder) {
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
    ...(name === "browser.md" && { last: askPage }),
  }),
);

/** The tutorial's page, used as it says. */
async function askPage(): Promise<void> {
  const page = await openPage(`http://127.0.0.1:${PORT}/`);
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
