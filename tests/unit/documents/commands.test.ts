/** Every command line of the documents has a test that runs it, or says beside it why none does. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageRoot } from "../../../src/cli/runtimes.ts";
import { commandsIn } from "../../support/document-commands.ts";
import { ELSEWHERE, isElsewhere, testOf } from "../../support/document-tests.ts";

// Plain JavaScript of the site's package, which has no declarations.
const { documents } = await import(new URL("../../../site/pages.mjs", import.meta.url).href);
const root = packageRoot();

interface Document {
  readonly file: string;
  readonly text: string;
}

const withCommands = (documents as readonly Document[])
  .map(({ file, text }) => ({ file, text, commands: commandsIn(text) }))
  .filter(({ commands }) => commands.length > 0);

test("commands are read as a shell reads them", () => {
  const text =
    "```sh\na -b 'x\ny' # say\n# only a remark\nc \\\n  d\ne # not run by tests: it is loud\n```\n```ts\nf\n```";
  expect(commandsIn(text)).toEqual([
    { text: "a -b 'x\ny'", line: 2, notRun: undefined },
    { text: "c \\\n  d", line: 5, notRun: undefined },
    { text: "e", line: 7, notRun: "it is loud" },
  ]);
  const block = "```sh\n# not run by tests: minutes\na\nb\n```\n```sh\nc\n```";
  expect(commandsIn(block).map(({ notRun }) => notRun)).toEqual(["minutes", "minutes", undefined]);
});

describe("a test runs them", () => {
  test.each(withCommands)("$file", ({ file, commands }) => {
    const path = testOf(file);
    expect(
      path,
      `${file}: no test is named for it in tests/support/document-tests.ts`,
    ).toBeDefined();
    const isRunHere = commands.some(
      ({ text, notRun }) => notRun === undefined && !isElsewhere(text, file),
    );
    if (!isRunHere) return;
    const code = existsSync(join(root, path!)) ? readFileSync(join(root, path!), "utf8") : "";
    expect(code, `${path}: it does not open documents`).toMatch(/openDocument\(/);
    for (const { text, line, notRun } of commands) {
      if (notRun === undefined) continue;
      console.log(`${file}:${line}: not run: ${text}: ${notRun}`);
      expect(notRun.length, `${file}:${line}: a reason`).toBeGreaterThan(10);
    }
  });
});

describe("what is tried elsewhere is there", () => {
  const all = new Set(withCommands.flatMap(({ commands }) => commands.map(({ text }) => text)));
  test.each(Object.entries(ELSEWHERE))("%s", (command, [file, text]) => {
    expect(all).toContain(command);
    expect(readFileSync(join(root, file), "utf8")).toContain(text);
  });
});

test("commands stand in blocks of sh", () => {
  const others = (documents as readonly Document[]).flatMap(({ file, text }) =>
    [...text.matchAll(/^```(bash|shell|console|zsh|shellsession|powershell)\b/gm)].map(
      ([, language]) => `${file}: ${language}`,
    ),
  );
  expect(others).toEqual([]);
});
