// What the package brings along: the tree of its dependencies by the lock file, and what is bundled into the page.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What may be passed on under Apache-2.0, asking for no more than its notice. */
const ALLOWED = [
  "MIT",
  "ISC",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "0BSD",
  "BlueOak-1.0.0",
];

/**
 * Every package that `npm install pronk` installs, by the lock file.
 *
 * npm's own `npm sbom --omit=dev` leaves out those that a development dependency asks for as well (npm 11.19: 4 of 8).
 *
 * @returns {Map<string, {name: string, version: string, path: string, integrity: string, needs: string[]}>} by their paths
 */
export function runtimeTree(lock) {
  const { packages } = lock;
  const found = new Map();
  const visit = (from, names) => {
    for (const name of names) {
      const path = placeOf(packages, from, name);
      if (path === undefined)
        throw new Error(`package-lock.json: ${name}, which ${from || "pronk"} needs, is missing`);
      if (found.has(path)) continue;
      const { version, integrity, dependencies = {}, optionalDependencies = {} } = packages[path];
      const needs = Object.keys({ ...dependencies, ...optionalDependencies });
      found.set(path, { name, version, path, integrity, needs });
      visit(path, needs);
    }
  };
  visit("", Object.keys(packages[""].dependencies ?? {}));
  return found;
}

/** As Node looks a package up: in its own node_modules, then in those around it. */
function placeOf(packages, from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    const path = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (packages[path]) return path;
    if (at === "") return undefined;
    if (!at.includes("/node_modules/")) at = "";
  }
}

/** Packages whose code is in the page, as the licences that it shows name them: `name version`. */
export function bundledPackages(root) {
  const names = new Set();
  for (const kind of ["server", "static"]) {
    const folder = join(root, "dist", "playground", kind, "playground");
    if (!existsSync(folder)) throw new Error(`${folder} is missing: npm run build makes it`);
    const file = readdirSync(folder).find((name) => /^licenses-\w+\.txt$/.test(name));
    if (file === undefined) throw new Error(`${folder}: no licenses`);
    for (const text of readFileSync(join(folder, file), "utf8").split(`\n${"-".repeat(80)}\n\n`)) {
      names.add(text.slice(0, text.indexOf("\n")));
    }
  }
  return [...names].sort().map((line) => {
    const at = line.lastIndexOf(" ");
    return { name: line.slice(0, at), version: line.slice(at + 1) };
  });
}

/** What is wrong with a package on disk, as sentences. */
export function packageFaults(root, { name, version, path, integrity }) {
  const folder = join(root, path);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = readdirSync(folder, { recursive: true }).map(String);
  const scripts = Object.keys(manifest.scripts ?? {}).filter((one) =>
    /^(?:pre|post)?install$/.test(one),
  );
  return [
    manifest.version !== version && `${name}: ${manifest.version} is installed, ${version} locked`,
    !ALLOWED.includes(manifest.license) && `${name}: its licence is ${manifest.license}`,
    !files.some((file) => /^(?:licen[cs]e|copying)/i.test(file)) &&
      `${name}: has no text of its licence`,
    scripts.length > 0 && `${name}: runs ${scripts.join(", ")} when it is installed`,
    files.some((file) => /\.node$|^binding\.gyp$/.test(file)) && `${name}: has native code`,
    !integrity?.startsWith("sha512-") && `${name}: is locked without a SHA-512`,
  ].filter(Boolean);
}
