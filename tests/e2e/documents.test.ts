/** The README and the pages of docs/, command by command, as somebody types them in a checkout. */
import {
  copyFileSync,
  cpSync,
  existsSync,
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
import { packageRoot } from "../../src/cli/runtimes.ts";
import { knownModel } from "../../src/hub/known-models.ts";
import { documentCommands, openDocument } from "../support/document-commands.ts";
import { testOf } from "../support/document-tests.ts";
import { MODEL_FILE } from "./environment.ts";
import { runDocument } from "./run-document.ts";

const root = packageRoot();
const model = knownModel("smollm2-135m-instruct")!;

/** Those that this test is named for, and that have a command to run. */
const documents = [
  "README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).map(
    (name) => `docs/${name.split("\\").join("/")}`,
  ),
]
  .filter((file) => file.endsWith(".md") && testOf(file) === "tests/e2e/documents.test.ts")
  .filter((file) => documentCommands(file).some(({ notRun }) => notRun === undefined));

/** What an answer has to have in it, beside an exit code of 0. */
const EXPECTED: Readonly<Record<string, RegExp>> = {
  'npx pronk run --chat "How many days are in a week?"': /A week is approximately 7 days\./,
  "npx pronk inspect --budget 128MB": /108\.0 MB/,
  "npx pronk init my-app --to worker": /npm install/,
  "npx pronk deploy --dry-run": /dry run +nothing was sent/,
  "npx pronk hash --stages 3":
    /^6e1a16a7653f9b37502ec6d54d073f91ac8320c6499d51a0430f175f6243a490 /m,
};

/** Far from the ports of the machine's own services. */
const moved = (text: string): string => text.replaceAll(/\b(87\d\d)\b/g, "2$1");

let folder: string;

/** What a checkout has that the commands use, without what they would change. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pronk-checkout-"));
  const models = join(folder, "cache", "models", model.name);
  mkdirSync(models, { recursive: true });
  symlinkSync(MODEL_FILE, join(models, model.file));
  for (const name of ["dist", "src", "wasm", "workers", "examples"]) {
    symlinkSync(join(root, name), join(folder, name));
  }
  for (const name of readdirSync(root).filter((one) => /\.(?:md|json|toml)$/.test(one))) {
    cpSync(join(root, name), join(folder, name));
  }
  // Under another name: npx would install a package that has its own command.
  const { bin: _, ...manifest } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ ...manifest, name: "checkout" }));
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, ".bin"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (!name.startsWith(".") && name !== "wrangler")
      symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  symlinkSync(join(root, "dist/src/cli/main.js"), join(modules, ".bin", "pronk"));
  // In wrangler's place: what goes to Cloudflare stays here.
  mkdirSync(join(modules, "wrangler"));
  writeFileSync(
    join(modules, "wrangler", "package.json"),
    JSON.stringify({ name: "wrangler", version: "0.0.0", bin: { wrangler: "./stand-in.mjs" } }),
  );
  copyFileSync(
    join(root, "tests/e2e/wrangler-stand-in.mjs"),
    join(modules, "wrangler", "stand-in.mjs"),
  );
  writeFileSync(
    join(modules, ".bin", "wrangler"),
    `#!/bin/sh\nexec node ${modules}/wrangler/stand-in.mjs "$@"\n`,
    { mode: 0o755 },
  );
  writeFileSync(join(folder, "system.txt"), "You answer in one short sentence.\n");
});

afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

test.for(documents)("%s", async (file, { signal }) => {
  const document = openDocument(file);
  const here = new Map(document.commands.map((command) => [moved(command), command]));
  const outputs = await runDocument(join(root, file), {
    folder,
    signal,
    moved,
    typed(command) {
      const own = here.get(command);
      if (own !== undefined) document.ran(own);
      return own === undefined ? undefined : command;
    },
    env: {
      ...process.env,
      PATH: `${join(folder, "node_modules", ".bin")}:${process.env.PATH}`,
      PRONK_CACHE: join(folder, "cache"),
      PRONK_MODEL: "",
      PORT: "28787",
      HF_HUB_OFFLINE: "1",
      NO_COLOR: "1",
      WRANGLER_SEND_METRICS: "false",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      STAND_IN_LOG: join(folder, "wrangler.log"),
      STAND_IN_STATE: join(folder, "state"),
      STAND_IN_URL: "http://127.0.0.1:28787",
      STAND_IN_FOR: join(root, "node_modules", "wrangler", "bin", "wrangler.js"),
    },
  });
  document.expectAllRan();
  for (const [command, output] of outputs) {
    const expected = EXPECTED[here.get(command) ?? ""];
    if (expected !== undefined) expect(output, command).toMatch(expected);
    if (command.includes("days are in a week")) expect(output, command).toContain("7 days");
  }
});

test("what has to come out is of commands that there are", () => {
  const all = documents.flatMap((file) => documentCommands(file).map(({ text }) => text));
  expect(Object.keys(EXPECTED).filter((command) => !all.includes(command))).toEqual([]);
  expect(documents.length).toBeGreaterThan(3);
  expect(existsSync(join(folder, "my-app", "package.json"))).toBe(true);
});
