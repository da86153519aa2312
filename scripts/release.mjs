// Releases the version that package.json names: checks, builds, packs, looks at what was packed, publishes.
//
//   node scripts/release.mjs                 a dry run: everything but publishing; problems are printed
//   node scripts/release.mjs --no-checks     without npm run check and npm test, which CI has run
//   node scripts/release.mjs --publish       for .github/workflows/release.yml, whose identity npm and JSR know
//
// No token: npm's provenance and JSR both take GitHub's identity of the workflow that runs this.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findRuntime } from "../dist/src/cli/runtimes.js";
import { packageProblems, releaseProblems } from "./release/problems.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const LIMIT_MS = 30 * 60_000;

const { values: options } = parseArgs({
  options: { publish: { type: "boolean" }, "no-checks": { type: "boolean" } },
});

/** @returns what it prints, where nobody reads it. */
function run(program, args, { isQuiet = false, cwd = root } = {}) {
  if (!isQuiet) console.error(`$ ${program.split("/").at(-1)} ${args.join(" ")}`);
  const stdio = ["ignore", isQuiet ? "pipe" : "inherit", "inherit"];
  return execFileSync(program, args, { cwd, stdio, timeout: LIMIT_MS, encoding: "utf8" });
}

const json = (name) => JSON.parse(readFileSync(join(root, name), "utf8"));

/** Ends a release; a dry run goes on to show the rest, and fails in the end. */
function report(problems) {
  for (const problem of problems) console.error(`release: ${problem}`);
  if (problems.length === 0) return;
  if (options.publish) process.exit(1);
  process.exitCode = 1;
}

report(
  releaseProblems({
    status: run("git", ["status", "--porcelain"], { isQuiet: true }),
    manifest: json("package.json"),
    lock: json("package-lock.json"),
    jsr: json("jsr.json"),
    changelog: readFileSync(join(root, "CHANGELOG.md"), "utf8"),
  }),
);
if (!options["no-checks"]) {
  run("npm", ["run", "check"]);
  run("npm", ["test"]);
}
run("npm", ["run", "build"]);

const folder = mkdtempSync(join(tmpdir(), "pronk-release-"));
try {
  const packed = run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
    isQuiet: true,
  });
  const [{ filename, size, unpackedSize, files }] = JSON.parse(packed);
  const megabytes = (bytes) => (bytes / 1e6).toFixed(2);
  console.log(
    `${filename}: ${files.length} files, ${megabytes(size)} MB, unpacked ${megabytes(unpackedSize)} MB`,
  );
  report(packageProblems(files.map(({ path }) => path)));
  const dryRun = options.publish ? [] : ["--dry-run"];
  const deno = findRuntime("deno");
  run(deno, ["publish", ...dryRun, ...(options.publish ? [] : ["--allow-dirty", "--quiet"])]);
  if (options.publish) {
    run("npm", ["publish", join(folder, filename), "--provenance", "--access", "public"]);
  } else {
    console.log(`then: npm publish ${filename} --provenance --access public`);
    console.log("and:  deno publish");
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
