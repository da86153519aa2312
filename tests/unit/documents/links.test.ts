/** Links of the documents lead somewhere, and so do their anchors: as GitHub shows them, and as the site does. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

// Plain JavaScript of the site's package, which has no declarations.
const site = (name: string) => import(new URL(`../../../site/${name}.mjs`, import.meta.url).href);
const { documents, root } = await site("pages");
const { headingIds, withoutCode } = await site("slug");

interface Document {
  readonly file: string;
  readonly text: string;
}

/** Targets of links and pictures in prose, not in code. */
function targets(text: string): string[] {
  const prose: string = withoutCode(text).replace(/`[^`\n]*`/g, "code");
  return [...prose.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, target = ""]) => target);
}

/** What is wrong with a link; undefined: nothing, or it leads to another host. */
function complaint(file: string, target: string): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [path = "", anchor] = target.split("#");
  const wanted = path === "" ? join(root, file) : join(root, dirname(file), path);
  if (relative(root, wanted).startsWith("..")) return "leads out of the repository";
  if (!existsSync(wanted)) return "no such file";
  if (anchor === undefined) return undefined;
  if (!wanted.endsWith(".md")) return "an anchor in a file that has no headings";
  const ids: string[] = headingIds(readFileSync(wanted, "utf8"));
  return ids.includes(anchor) ? undefined : "no such heading";
}

test("a heading's id is GitHub's", () => {
  const text =
    "# The API's `pronk`: v1\n## A, b_c & d\n```\n# not one\n```\n## A, b_c & d\n## [Link](x)";
  expect(headingIds(text)).toEqual(["the-apis-pronk-v1", "a-b_c--d", "a-b_c--d-1", "link"]);
});

test("a dead link is found", () => {
  expect(complaint("README.md", "docs/nothing.md")).toBe("no such file");
  expect(complaint("README.md", "docs/api.md#nothing")).toBe("no such heading");
  expect(complaint("docs/api.md", "../../elsewhere.md")).toBe("leads out of the repository");
  expect(targets("[a](b.md) `[c](d.md)` [![e](f.svg)](g.md)\n```\n[h](i)\n```")).toEqual([
    "b.md",
    "f.svg",
    "g.md",
  ]);
});

describe("every link resolves", () => {
  test.each<Document>(documents)("$file", ({ file, text }) => {
    const dead = targets(text).map((target) => [target, complaint(file, target)]);
    expect(dead.filter(([, what]) => what !== undefined)).toEqual([]);
  });
});

test("every document is reached by links from the README", () => {
  const known = new Map(documents.map(({ file, text }: Document) => [file, text]));
  const reached = new Set(["README.md"]);
  for (const file of reached) {
    for (const target of targets((known.get(file) as string) ?? "")) {
      const path = join(dirname(file), target.split("#")[0] ?? "");
      if (known.has(path)) reached.add(path);
    }
  }
  expect([...known.keys()].filter((file) => !reached.has(file as string))).toEqual([]);
});

test("every document is in the site's menu: site/sidebar.mjs names it or its folder", async () => {
  const { sidebar } = await site("sidebar");
  expect(sidebar.length).toBeGreaterThan(5);
});

test("every test that docs/security.md names is there", () => {
  const text = readFileSync(join(root, "docs/security.md"), "utf8");
  const named = [...text.matchAll(/`((?:tests|scripts|\.github)\/[\w./-]+)`/g)].map(
    ([, path = ""]) => path,
  );
  expect(named.length).toBeGreaterThan(25);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
