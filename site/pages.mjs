// Which files of the repository are pages of the site, and where they lie there.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { headings } from "./slug.mjs";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Single pages outside docs/ and examples/. */
const PLACES = {
  "README.md": "introduction.md",
  "CHANGELOG.md": "changelog.md",
  "CONTRIBUTING.md": "contributing.md",
  "SECURITY.md": "reporting.md",
  "examples/README.md": "examples/index.md",
};

/** Files of git and new ones; a build folder may lie anywhere. */
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(root, file)));

/** Where a document lies on the site, from its path in the repository; undefined: it is no page. */
export function placeOf(file) {
  if (file in PLACES) return PLACES[file];
  if (!file.endsWith(".md")) return undefined;
  // The README of a folder is what it begins with.
  if (file.startsWith("docs/"))
    return file.slice("docs/".length).replace(/README\.md$/, "index.md");
  const [, example] = /^examples\/([\w-]+)\/README\.md$/.exec(file) ?? [];
  return example && `examples/${example}.md`;
}

/** Every document of the repository: its file, its place, its text. */
export const documents = files
  .map((file) => ({ file, place: placeOf(file) }))
  .filter(({ place }) => place !== undefined)
  .map(({ file, place }) => ({ file, place, text: readFileSync(join(root, file), "utf8") }));

/** The files of an example, without its README. */
export const filesOf = (folder) =>
  files.filter((file) => file.startsWith(`${folder}/`) && !file.endsWith("README.md"));

/** What a page is called in menus: its first heading up to a colon. */
export const titleOf = (text) => headings(text)[0]?.text.replace(/: .*/, "") ?? "";
