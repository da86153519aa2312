// Adds up what .ci/run left in a folder: NAME.status, an exit code or `skipped`, and of test suites NAME.json, the
// count of reporter.mjs. Names what failed. The last line is the sum; the exit code says whether anything failed.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const sum = { passed: 0, failed: 0, skipped: 0 };
const failures = [];

const lastLines = (path) => readFileSync(path, "utf8").trim().split("\n").slice(-5).join(" | ");

for (const file of readdirSync(folder).filter((name) => name.endsWith(".status"))) {
  const name = file.slice(0, -".status".length);
  const status = readFileSync(join(folder, file), "utf8").trim();
  const report = join(folder, `${name}.json`);
  let counted = { passed: 0, failed: 0, skipped: 0 };
  if (existsSync(report)) {
    const { failures: named, running, ended, ...counts } = JSON.parse(readFileSync(report, "utf8"));
    counted = counts;
    failures.push(...named.map((failure) => `${name}: ${failure}`));
    if (!ended) failures.push(`${name}: ended with ${status} at ${running ?? "no test"}`);
  } else if (status === "0") {
    counted.passed = 1;
  } else if (status === "skipped") {
    counted.skipped = 1;
  } else {
    failures.push(`${name}: exit code ${status}: ${lastLines(join(folder, `${name}.log`))}`);
  }
  if (status !== "0" && status !== "skipped" && counted.failed === 0) counted.failed = 1;
  console.log(`${name}: ${JSON.stringify(counted)}`);
  for (const key of Object.keys(sum)) sum[key] += counted[key];
}

for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
// Nothing run is nothing shown.
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
