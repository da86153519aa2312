/** Scripts are plain JavaScript that no compiler checks: what they import of the sources has to be there. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");

const IMPORT = /import\s*\{([^}]*)\}\s*from\s*"[./]*\/dist\/src\/([\w./-]+)\.js"/g;

/** Each name that a script imports from dist/src, with the source that should export it. */
const imports = readdirSync(join(root, "scripts"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".mjs"))
  .flatMap((script) =>
    [...readFileSync(join(root, "scripts", script), "utf8").matchAll(IMPORT)].flatMap(
      ([, names = "", module = ""]) =>
        names
          .split(",")
          .map((name) => name.trim().split(" as ")[0] ?? "")
          .filter(Boolean)
          .map((name) => ({ script, name, source: resolve(root, "src", `${module}.ts`) })),
    ),
  );

/** Whether a source exports a name, itself or by passing on all of another's. */
function exportsName(source: string, name: string): boolean {
  const text = readFileSync(source, "utf8");
  const declared = new RegExp(`export (async )?(function\\*?|const|class) ${name}\\b`);
  const listed = new RegExp(`export (type )?\\{[^}]*\\b${name}\\b[^}]*\\}`);
  if (declared.test(text) || listed.test(text)) return true;
  return [...text.matchAll(/export \* from "(.+?)"/g)].some(([, other = ""]) =>
    exportsName(join(dirname(source), other), name),
  );
}

test("scripts import only what the sources export", () => {
  expect(imports.length).toBeGreaterThan(20);
  expect(imports.filter(({ name, source }) => !exportsName(source, name))).toEqual([]);
});
