/** What comes along with the package: its licences, its bill of materials, and nothing that runs unasked. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

// Plain JavaScript, which has no declarations.
const script = (name: string) =>
  import(new URL(`../../scripts/release/${name}`, import.meta.url).href);
const { bundledPackages, packageFaults, runtimeTree } = await script("supply-chain.mjs");
const { sbomOf } = await script("sbom.mjs");

interface Package {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  readonly integrity: string;
}

const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const manifest = json("package.json");
const lock = json("package-lock.json");
const tree: Package[] = [...runtimeTree(lock).values()];

test("the tree has every dependency of the package, and theirs", () => {
  const names = tree.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
  // What else comes is a choice to be made with open eyes.
  expect([...new Set(names)].sort()).toEqual(Object.keys(manifest.dependencies).sort());
});

test.each(tree)(
  "$name may be passed on, runs nothing when installed, has no native code",
  (one) => {
    expect(packageFaults(".", one)).toEqual([]);
  },
);

test("the lock file names no registry, and a hash for everything", () => {
  for (const file of ["package-lock.json", "site/package-lock.json"]) {
    const { packages } = json(file);
    for (const [path, entry] of Object.entries<{
      resolved?: string;
      integrity?: string;
      link?: boolean;
    }>(packages)) {
      if (path === "" || entry.link) continue;
      expect([path, entry.resolved]).toEqual([path, undefined]);
      expect([path, entry.integrity]).toEqual([path, expect.stringMatching(/^sha(?:512|1)-/)]);
    }
  }
});

describe("a package that is not to be there is found:", () => {
  const root = mkdtempSync(join(tmpdir(), "pronk-supply-"));
  afterAll(() => rmSync(root, { recursive: true }));
  const plant = (files: Record<string, string>, fields: object = {}): string[] => {
    const path = `node_modules/p${Math.random().toString(36).slice(2)}`;
    mkdirSync(join(root, path), { recursive: true });
    const all = {
      LICENSE: "x",
      "package.json": JSON.stringify({ version: "1.0.0", license: "MIT", ...fields }),
      ...files,
    };
    for (const [name, text] of Object.entries(all))
      if (text) writeFileSync(join(root, path, name), text);
    return packageFaults(root, { name: "p", version: "1.0.0", path, integrity: "sha512-x" });
  };
  test.each<[string, string[], string]>([
    ["under another licence", plant({}, { license: "AGPL-3.0" }), "p: its licence is AGPL-3.0"],
    ["without any", plant({}, { license: undefined }), "p: its licence is undefined"],
    ["without its text", plant({ LICENSE: "" }), "p: has no text of its licence"],
    [
      "with a script",
      plant({}, { scripts: { postinstall: "x" } }),
      "p: runs postinstall when it is installed",
    ],
    ["with native code", plant({ "a.node": "x" }), "p: has native code"],
    ["of another version", plant({}, { version: "2.0.0" }), "p: 2.0.0 is installed, 1.0.0 locked"],
  ])("%s", (_, faults, fault) => expect(faults).toEqual([fault]));
  test("and one that is not", () => expect(plant({})).toEqual([]));
});

describe.runIf(existsSync("dist/playground"))("what is built", () => {
  test("has in its page nothing that may not be passed on, each with its licence's text", () => {
    const bundled: Package[] = bundledPackages(".");
    expect(bundled.map(({ name }) => name)).toEqual(expect.arrayContaining(["preact", "marked"]));
    for (const one of bundled) {
      const path = `node_modules/${one.name}`;
      const integrity = lock.packages[path].integrity;
      expect(packageFaults(".", { ...one, path, integrity })).toEqual([]);
    }
  });

  test("has a bill of materials that names all of it by hash, the same each time", () => {
    const bom = sbomOf(".");
    expect(sbomOf(".")).toEqual(bom);
    expect(bom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5", version: 1 });
    expect(bom.metadata.component.purl).toBe(`pkg:npm/pronk@${manifest.version}`);
    const purls = bom.components.flatMap(({ purl }: { purl?: string }) => purl ?? []);
    for (const { name, version } of [...tree, ...bundledPackages(".")]) {
      expect(purls).toContain(`pkg:npm/${name.replace("@", "%40")}@${version}`);
    }
    expect(new Set(purls).size).toBe(purls.length);
    const refs = new Set(bom.components.map((one: { "bom-ref": string }) => one["bom-ref"]));
    for (const one of bom.components) {
      expect(one.hashes[0].content).toMatch(/^(?:[0-9a-f]{64}|[0-9a-f]{128})$/);
      if (one.type === "library") expect(one.licenses[0].license.id).toMatch(/^[\w.-]+$/);
    }
    for (const { dependsOn } of bom.dependencies)
      for (const ref of dependsOn) expect(refs).toContain(ref);
    expect(bom.components.filter(({ type }: { type: string }) => type === "file")).toHaveLength(3);
  });
});
