// What keeps a tree from being released, as sentences.

/**
 * @param tree `{ status, manifest, lock, jsr, changelog }`: git's porcelain status, the parsed JSON files, the text
 * @returns none where it may be released
 */
export function releaseProblems({ status, manifest, lock, jsr, changelog }) {
  const { version } = manifest;
  const [, heading, date] = /^## \[([^\]]+)\](?: - (\S+))?$/m.exec(changelog) ?? [];
  const problems = [
    status.trim() !== "" && `the tree is not clean:\n${status.trimEnd()}`,
    lock.version !== version && `package-lock.json: version ${lock.version}, not ${version}`,
    jsr.version !== version && `jsr.json: version ${jsr.version}, not ${version}`,
    heading !== version && `CHANGELOG.md: its first release is ${heading}, not ${version}`,
    heading === version &&
      !/^\d{4}-\d\d-\d\d$/.test(date ?? "") &&
      `CHANGELOG.md: ${version} has no date, but ${date}`,
  ];
  return problems.filter(Boolean);
}

/** Files of the npm package; nothing else belongs into it. */
const PACKAGED =
  /^(?:dist\/src\/[\w./-]+\.(?:js|d\.ts)|dist\/playground\/[\w./-]+|dist\/examples\/[\w./-]+|dist\/sbom\.cdx\.json|examples\/[\w./-]+|wasm\/dist\/(?:plain|relaxed|wide)\.wasm|wasm\/kernel-module\.d\.ts|README\.md|CHANGELOG\.md|LICENSE|package\.json)$/;

const NEEDED = [
  "LICENSE",
  "README.md",
  "CHANGELOG.md",
  "dist/src/cli/main.js",
  "dist/src/platform/node/index.js",
  "dist/src/platform/node/index.d.ts",
  "dist/src/platform/browser/index.js",
  "dist/src/platform/cloudflare/index.js",
  "dist/playground/server/index.html",
  "dist/sbom.cdx.json",
  "wasm/dist/plain.wasm",
  "wasm/dist/relaxed.wasm",
  "wasm/dist/wide.wasm",
];

/** @param files paths of the packed package. */
export function packageProblems(files) {
  return [
    ...files
      .filter((file) => !PACKAGED.test(file))
      .map((file) => `${file}: not a file of the package`),
    ...NEEDED.filter((file) => !files.includes(file)).map((file) => `${file}: missing`),
  ];
}
