/**
 * Adds the logits of the present version of the numbers to tests/goldens/logits-hashes.json. Never changes those of a version
 * that is there: other numbers need another version.
 *
 *   npm run build && npm run golden:hashes -- --reason "what changed and why"
 *   npm run golden:hashes                       compares, writes nothing; exit code 1 where they differ
 *
 * Needs the real model: PRONK_TEST_MODEL, or what `npx pronk pull` has pulled.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

/** Of `pronk hash` and `pronk pull`, whose model is there. */
const TIMEOUT_MS = 300_000;

/** The module that the test uses, too. */
async function loadCases() {
  const folder = join(root, ".cache/golden-hashes");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${process.pid}.mjs`);
  await build({
    stdin: {
      contents: `export * from "./tests/support/logits-hashes.ts";
        export { NUMBERS_VERSION } from "./src/backends/wasm/numbers-version.ts";`,
      resolveDir: root,
    },
    bundle: true,
    format: "esm",
    platform: "node",
    packages: "external",
    outfile: file,
    logLevel: "error",
  });
  try {
    return await import(pathToFileURL(file).href);
  } finally {
    rmSync(file);
  }
}

const pronk = (...args) =>
  execFileSync(process.execPath, ["dist/src/cli/main.js", ...args], {
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    stdio: ["ignore", "pipe", "inherit"],
  });

/** @returns the hash that `pronk hash` prints */
function hashRealModel(version) {
  const model =
    process.env.PRONK_TEST_MODEL ??
    pronk("pull", "smollm2-135m-instruct").trim().split("\n").at(-1);
  const { logits_sha256, numbers_version } = JSON.parse(pronk("hash", model, "--json"));
  if (numbers_version !== version)
    throw new Error(`dist is of version ${numbers_version}, the tree of ${version}: npm run build`);
  return logits_sha256;
}

async function computeHashes(cases) {
  const module = new WebAssembly.Module(readFileSync("wasm/dist/plain.wasm"));
  const hashes = {};
  for (const { name, open } of cases.GOLDEN_CASES)
    hashes[name] = await cases.hashOfRunner(await open({ module, variant: "simd" }));
  hashes[cases.REAL_MODEL] = hashRealModel(cases.NUMBERS_VERSION);
  return hashes;
}

const differing = (a, b) =>
  [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]);

try {
  const { values } = parseArgs({ options: { reason: { type: "string" } } });
  const cases = await loadCases();
  const { GOLDEN_FILE, NUMBERS_VERSION: version } = cases;
  const golden = cases.readGoldenHashes();
  const hashes = await computeHashes(cases);
  const known = golden.find((entry) => entry.version === version);
  const before = known ?? golden[0];
  const changed = before ? differing(before.hashes, hashes) : [];
  for (const name of changed) console.log(`other logits: ${name}`);
  if (known) {
    if (changed.length > 0)
      throw new Error(
        `${version} is in ${GOLDEN_FILE} with other logits: mend it, or raise ARITHMETIC_VERSION in src/backends/wasm/numbers-version.ts`,
      );
    console.log(`${version}: ${Object.keys(hashes).length} hashes, as in ${GOLDEN_FILE}`);
  } else if (!values.reason) {
    throw new Error(
      `${version} is not in ${GOLDEN_FILE}: add it with --reason "what changed and why"`,
    );
  } else {
    const added = [{ version, reason: values.reason, hashes }, ...golden];
    writeFileSync(GOLDEN_FILE, `${JSON.stringify(added, null, 2)}\n`);
    const same = changed.length === 0 ? "the same logits" : `${changed.length} with other logits`;
    console.log(
      `${version} added: ${Object.keys(hashes).length} hashes, ${same} as the version before`,
    );
  }
} catch (error) {
  console.error(`golden-hashes: ${error.message}`);
  process.exitCode = 1;
}
