// The reference of the TypeScript API: every public entry of package.json's exports, from the docstrings of the sources.
// Made while the site is built and never committed, so it cannot be stale; TypeDoc needs a TypeScript of its own.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Application } from "typedoc";
import { publicEntries } from "./entries.mjs";
import { root } from "./pages.mjs";

/**
 * Writes Markdown below `folder`: an index for each entry, a page for each of its exports.
 */
export async function writeApi(folder) {
  // What is documented is called as it is imported: a file of that name for each entry.
  const entries = join(root, "site", "build", "entries");
  rmSync(entries, { recursive: true, force: true });
  const files = publicEntries().map(({ name, file }) => {
    const path = join(entries, `${name}.ts`);
    mkdirSync(dirname(path), { recursive: true });
    const from = relative(dirname(path), join(root, file)).split("\\").join("/");
    writeFileSync(
      path,
      `/** What \`import … from "${name}"\` has. @module ${name} */\nexport * from "${from}";\n`,
    );
    return path;
  });
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: { rootDir: root, typeRoots: [join(root, "node_modules", "@types")] },
    include: [...files, join(root, "src/**/*.d.ts")],
  };
  writeFileSync(join(entries, "tsconfig.json"), JSON.stringify(config));
  const app = await Application.bootstrapWithPlugins({
    plugin: ["typedoc-plugin-markdown"],
    entryPoints: files,
    tsconfig: join(entries, "tsconfig.json"),
    basePath: root,
    name: "TypeScript API",
    indexFormat: "table",
    tableColumnSettings: { hideModifiers: true, hideInherited: true, hideOverrides: true },
    outputs: [{ name: "markdown", path: folder }],
    readme: "none",
    router: "member",
    entryFileName: "index",
    excludeInternal: true,
    excludePrivate: true,
    excludeExternals: true,
    disableSources: true,
    hidePageHeader: true,
    useCodeBlocks: true,
    expandObjects: true,
    parametersFormat: "table",
    interfacePropertiesFormat: "table",
    typeDeclarationFormat: "table",
    enumMembersFormat: "table",
    formatWithPrettier: false,
    skipErrorChecking: true, // npm run check did it, with the TypeScript of this repository
    validation: false,
    logLevel: "Warn",
    sanitizeComments: true,
  });
  const project = await app.convert();
  if (project === undefined) throw new Error("typedoc: the sources did not compile");
  await app.generateOutputs(project);
  for (const name of readdirSync(folder, { recursive: true })) {
    // Tables of types are wide: no list of headings beside them.
    const file = join(folder, name);
    if (name.endsWith(".md"))
      writeFileSync(file, `---\naside: false\n---\n\n${readFileSync(file)}`);
  }
}
