// Adds up what .ci/run left in a folder: NAME.status, an exit code, and of test suites NAME.json,
// vitest's report. The last line is the sum; the exit code says whether anything failed.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const sum = { passed: 0, failed: 0, skipped: 0 };

for (const file of readdirSync(folder).filter((name) => name.endsWith(".status"))) {
  const name = file.slice(0, -".status".length);
  const failed = readFileSync(join(folder, file), "utf8").trim() !== "0";
  const report = join(folder, `${name}.json`);
  let counted = { passed: failed ? 0 : 1, failed: failed ? 1 : 0, skipped: 0 };
  if (existsSync(report)) {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
      readFileSync(report, "utf8"),
    );
    counted = {
      passed: numPassedTests,
      // A file that cannot be loaded fails the suite without failing a test.
      failed: numFailedTests || (failed ? 1 : 0),
      skipped: numPendingTests + numTodoTests,
    };
  }
  console.log(`${name}: ${JSON.stringify(counted)}`);
  for (const key of Object.keys(sum)) sum[key] += counted[key];
}

console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
// Nothing run is nothing shown.
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
