/**
 * Builds wasm/dist/{relaxed,plain,wide}.wasm from wasm/*.c, and the TypeScript glue from them.
 *
 *   node scripts/build-wasm.mjs               builds and writes
 *   node scripts/build-wasm.mjs --check       rebuilds elsewhere; fails when bytes or glue differ from what is committed
 *   node scripts/build-wasm.mjs --check-glue  the glue alone: needs no C toolchain
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildModules } from "./build-wasm/compile.mjs";
import { kernelVersion, writeGlue } from "./build-wasm/glue.mjs";
import { findToolchain } from "./build-wasm/toolchain.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const SOURCES = join(root, "wasm");
const DIST = join(SOURCES, "dist");
const GLUE = join(root, "src/backends/wasm/kernels.gen.ts");
/** Where a rebuild that cannot be compared by bytes waits for the test suite. */
const REBUILT = join(root, ".cache/wasm-check");
const MODULES = ["relaxed", "plain", "wide"];

const readModules = (folder) =>
  Object.fromEntries(MODULES.map((name) => [name, readFileSync(join(folder, `${name}.wasm`))]));

function build() {
  const toolchain = findToolchain(root);
  mkdirSync(DIST, { recursive: true });
  buildModules(toolchain, SOURCES, DIST);
  writeFileSync(GLUE, writeGlue(SOURCES, readModules(DIST)));
  const sizes = Object.fromEntries(MODULES.map((name) => [name, readModules(DIST)[name].length]));
  const info = { version: kernelVersion(SOURCES), tools: toolchain.versions, bytes: sizes };
  writeFileSync(join(DIST, "build-info.json"), `${JSON.stringify(info, null, 2)}\n`);
  console.log(
    `wasm/dist: ${MODULES.map((name) => `${name}.wasm ${sizes[name]} bytes`).join(", ")}`,
  );
}

function checkGlue() {
  if (readFileSync(GLUE, "utf8") !== writeGlue(SOURCES, readModules(DIST))) {
    throw new Error(
      "src/backends/wasm/kernels.gen.ts is not what wasm/*.c and wasm/dist give: npm run build:wasm",
    );
  }
  console.log("kernels.gen.ts is fresh");
}

function checkModules() {
  const info = JSON.parse(readFileSync(join(DIST, "build-info.json"), "utf8"));
  const toolchain = findToolchain(root);
  mkdirSync(REBUILT, { recursive: true });
  buildModules(toolchain, SOURCES, REBUILT);
  const committed = readModules(DIST);
  const rebuilt = readModules(REBUILT);
  writeGlue(SOURCES, rebuilt); // checks imports, exports and types
  const others = Object.keys({ ...info.tools, ...toolchain.versions }).filter(
    (tool) => info.tools[tool] !== toolchain.versions[tool],
  );
  const differing = MODULES.filter((name) => !committed[name].equals(rebuilt[name]));
  if (differing.length === 0) {
    console.log("wasm/dist: a rebuild gives the same bytes");
  } else if (others.length) {
    for (const tool of others)
      console.log(`${tool}: ${toolchain.versions[tool]} here, ${info.tools[tool]} for wasm/dist`);
    console.log(
      "other tools give other bytes: the rebuilt modules are in .cache/wasm-check; test them with PRONK_WASM_DIST",
    );
  } else {
    throw new Error(
      `wasm/dist: ${differing.join(" and ")} differ from a rebuild: npm run build:wasm`,
    );
  }
}

const { values } = parseArgs({
  options: { check: { type: "boolean" }, "check-glue": { type: "boolean" } },
});
try {
  if (values.check || values["check-glue"]) checkGlue();
  if (values.check) checkModules();
  if (!values.check && !values["check-glue"]) build();
} catch (error) {
  console.error(`build-wasm: ${error.message}`);
  process.exitCode = 1;
}
