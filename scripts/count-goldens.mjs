/**
 * Counts the golden cases that tests passed, folder by folder.
 *
 *   node scripts/count-goldens.mjs                  runs the tests that cover them, then counts
 *   node scripts/count-goldens.mjs --report FILE    counts from a JSON report of vitest
 *   node scripts/count-goldens.mjs --list DIR       prints the cases of the full golden data, for tests/goldens/cases.json
 *
 * With PRONK_TEST_MODEL (SmolLM2's GGUF file) the cases of real models are run, too.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COVERAGE } from "./count-goldens/coverage.mjs";
import { listCases } from "./count-goldens/list-cases.mjs";

const [option, value] = process.argv.slice(2);

if (option === "--list") {
  const lines = Object.entries(listCases(value)).map((entry) =>
    entry.map((part) => JSON.stringify(part)).join(": "),
  );
  console.log(`{\n${lines.join(",\n")}\n}`);
} else {
  const cases = JSON.parse(readFileSync("tests/goldens/cases.json", "utf8"));
  const { rows, missing } = count(cases, readReport(option === "--report" ? value : runTests()));
  printTable(rows);
  for (const line of missing) console.log(line);
  process.exitCode = missing.length > 0 ? 1 : 0;
}

/** @returns {string} the path of the report */
function runTests() {
  const files = [...new Set(COVERAGE.flatMap(({ tests }) => tests).map(({ file }) => file))];
  const path = join(mkdtempSync(join(tmpdir(), "pronk-goldens-")), "report.json");
  const args = ["vitest", "run", ...files, "--reporter=json", `--outputFile=${path}`];
  spawnSync("npx", args, { stdio: ["ignore", "ignore", "inherit"], timeout: 1_800_000 });
  return path;
}

/** @returns {Map<string, {title: string, status: string}[]>} tests by file */
function readReport(path) {
  const { testResults } = JSON.parse(readFileSync(path, "utf8"));
  return new Map(
    testResults.map(({ name, assertionResults }) => [
      name.slice(name.lastIndexOf("/tests/") + 1),
      assertionResults.map(({ fullName: title, status }) => ({ title, status })),
    ]),
  );
}

function count(cases, report) {
  const missing = [];
  const rows = [];
  for (const [folder, ids] of Object.entries(cases)) {
    const row = { folder, total: ids.length, passed: 0, refused: 0, skipped: 0 };
    const rest = new Set(ids);
    for (const rule of COVERAGE.filter((one) => one.folder === folder)) {
      const mine = ids.filter((id) => rest.has(id) && rule.cases.test(id));
      for (const id of mine) rest.delete(id);
      const why = mine.map((id) => verdict(rule, id, mine.length, report));
      mine.forEach((id, i) => {
        if (why[i] === "passed") row[rule.refused ? "refused" : "passed"]++;
        else if (why[i] === "skipped") row.skipped++;
        else missing.push(`${folder}: ${id}: ${why[i]}`);
      });
    }
    for (const id of rest) missing.push(`${folder}: ${id}: no test is known`);
    rows.push(row);
  }
  return { rows, missing };
}

/** What became of the tests of a case: all of them have to be there. */
function verdict({ tests }, id, total, report) {
  for (const { file, title, each } of tests) {
    const found = (report.get(file) ?? []).filter((one) => title(id).test(one.title));
    // Titles that are cut off name no case: there have to be as many tests as cases.
    const wanted = each === undefined ? 1 : each * total;
    const failed = found.find(({ status }) => status === "failed");
    if (failed) return `failed: ${file}: ${failed.title}`;
    if (found.length < wanted) return `${found.length} of ${wanted} tests ${title(id)} in ${file}`;
    if (found.every(({ status }) => status !== "passed")) return "skipped";
  }
  return "passed";
}

function printTable(rows) {
  const sum = (field) => rows.reduce((total, row) => total + row[field], 0);
  const fields = ["total", "passed", "refused", "skipped"];
  console.log(`| folder | ${fields.join(" | ")} |\n| --- |${" ---: |".repeat(fields.length)}`);
  for (const row of rows) {
    console.log(`| ${row.folder} | ${fields.map((field) => row[field]).join(" | ")} |`);
  }
  console.log(`| all | ${fields.map(sum).join(" | ")} |`);
}
