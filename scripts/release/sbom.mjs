// The bill of materials of the npm package, as CycloneDX 1.5: what it installs, what is bundled into it, its kernels.
//
//   node scripts/release/sbom.mjs     writes dist/sbom.cdx.json; needs the build
//
// The same tree gives the same bytes: no time, no random serial number.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundledPackages, runtimeTree } from "./supply-chain.mjs";

const KERNELS = ["plain", "relaxed", "wide"];

/** @param root of a built tree */
export function sbomOf(root) {
  const json = (name) => JSON.parse(readFileSync(join(root, name), "utf8"));
  const { name, version, license } = json("package.json");
  const lock = json("package-lock.json");
  const tree = [...runtimeTree(lock).values()];
  const installed = tree.map((one) => component(root, one, lock, "installed"));
  const refs = new Set(installed.map((one) => one["bom-ref"]));
  const bundled = bundledPackages(root)
    .map((one) => component(root, { ...one, path: `node_modules/${one.name}` }, lock, "bundled"))
    .filter((one) => !refs.has(one["bom-ref"]));
  const kernels = KERNELS.map((kernel) => {
    const path = `wasm/dist/${kernel}.wasm`;
    const content = createHash("sha256")
      .update(readFileSync(join(root, path)))
      .digest("hex");
    return { type: "file", "bom-ref": path, name: path, hashes: [{ alg: "SHA-256", content }] };
  });
  const own = purl(name, version);
  const needs = ({ path, needs }) =>
    needs.map(
      (need) =>
        tree.find((one) => one.name === need && one.path.startsWith(path)) ??
        tree.find((one) => one.name === need),
    );
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        type: "library",
        "bom-ref": own,
        name,
        version,
        purl: own,
        licenses: [{ license: { id: license } }],
      },
    },
    components: [...installed, ...bundled, ...kernels],
    dependencies: [
      {
        ref: own,
        dependsOn: [...installed, ...bundled, ...kernels].map((one) => one["bom-ref"]),
      },
      ...tree.map((one) => ({
        ref: purl(one.name, one.version),
        dependsOn: needs(one).map((need) => purl(need.name, need.version)),
      })),
    ],
  };
}

function component(root, { name, version, path, integrity }, lock, how) {
  const { license } = JSON.parse(readFileSync(join(root, path, "package.json"), "utf8"));
  const hash = integrity ?? lock.packages[path]?.integrity;
  if (!hash?.startsWith("sha512-")) throw new Error(`${path}: locked without a SHA-512`);
  const ref = purl(name, version);
  return {
    type: "library",
    "bom-ref": ref,
    name,
    version,
    purl: ref,
    licenses: [{ license: { id: license } }],
    hashes: [{ alg: "SHA-512", content: Buffer.from(hash.slice(7), "base64").toString("hex") }],
    properties: [{ name: "pronk:how", value: how }],
  };
}

function purl(name, version) {
  return `pkg:npm/${name.replace(/^@/, "%40")}@${version}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const bom = sbomOf(root);
  writeFileSync(join(root, "dist", "sbom.cdx.json"), `${JSON.stringify(bom, null, 1)}\n`);
  console.error(`dist/sbom.cdx.json: ${bom.components.length} components`);
}
