/** What a release refuses, and the workflow that makes one. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const { packageProblems, releaseProblems } = await import(
  new URL("../../scripts/release/problems.mjs", import.meta.url).href
);

const ready = {
  status: "",
  manifest: { version: "1.2.3" },
  lock: { version: "1.2.3" },
  jsr: { version: "1.2.3" },
  changelog: "# Changelog\n\n## [1.2.3] - 2026-01-02\n\n### Added\n\n## [1.2.2] - 2026-01-01\n",
};

test("a clean tree whose version is everywhere the same, with a date, may be released", () => {
  expect(releaseProblems(ready)).toEqual([]);
});

test.each([
  [{ status: " M src/errors.ts\n" }, "the tree is not clean:\n M src/errors.ts"],
  [{ lock: { version: "1.2.2" } }, "package-lock.json: version 1.2.2, not 1.2.3"],
  [{ jsr: { version: "1.2.4" } }, "jsr.json: version 1.2.4, not 1.2.3"],
  [
    { changelog: "## [1.2.2] - 2026-01-01\n" },
    "CHANGELOG.md: its first release is 1.2.2, not 1.2.3",
  ],
  [{ changelog: "## [1.2.3] - Unreleased\n" }, "CHANGELOG.md: 1.2.3 has no date, but Unreleased"],
])("what is not ready is said: %o", (change, problem) => {
  expect(releaseProblems({ ...ready, ...change })).toEqual([problem]);
});

test("a package with what does not belong into it, or without what does, is refused", () => {
  const problems = packageProblems(["dist/src/cli/main.js", ".npmrc", "tests/a.test.ts"]);
  expect(problems).toContain(".npmrc: not a file of the package");
  expect(problems).toContain("tests/a.test.ts: not a file of the package");
  expect(problems).toContain("wasm/dist/plain.wasm: missing");
  expect(problems).not.toContain("dist/src/cli/main.js: missing");
});

test("workflows pin their actions by commit, read and write nothing, and have no secrets", () => {
  const files = readdirSync(".github/workflows");
  expect(files).toEqual(expect.arrayContaining(["audit.yml", "release.yml"]));
  for (const file of files) {
    const workflow = readFileSync(`.github/workflows/${file}`, "utf8");
    const uses = [...workflow.matchAll(/uses: (\S+)/g)].map(([, action]) => action);
    expect(uses.length).toBeGreaterThan(0);
    for (const action of uses)
      expect([file, action]).toEqual([file, expect.stringMatching(/@[0-9a-f]{40}$/)]);
    expect(workflow).toMatch(/^permissions:\n {2}contents: read$/m);
    expect(workflow).not.toMatch(
      /secrets\.|pull_request_target|: write-all|\$\{\{\s*github\.event/,
    );
    expect(workflow).toContain("persist-credentials: false");
  }
});

test("the release's job alone has an identity, and publishes with provenance", () => {
  const workflow = readFileSync(".github/workflows/release.yml", "utf8");
  expect(workflow.match(/id-token: write/g)).toHaveLength(1);
  expect(readFileSync("scripts/release.mjs", "utf8")).toContain('"--provenance"');
});
