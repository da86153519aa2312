/** The modules of generated scripts, as text: imports of the package, and what each script exports. */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { packageRoot } from "../runtimes.ts";
import type { WorkerSettings } from "./topology.ts";
import { resolveFrom } from "./wrangler.ts";

/** The longest that one request may compute: what Workers Paid allows. */
export const CPU_MS = 300_000;

const HEADER = "// Written by pronk deploy, which writes it anew each time.";

const PACK = "  pack: (env) => packRelease(r2Source(env.MODELS, env.PACK), env.RELEASE),";

/** All of a model behind the HTTP API. @param folder where the module will lie. */
export function wholeModule(folder: string, settings: WorkerSettings): string {
  return lines([
    HEADER,
    importsOf(folder, ["createWorker"]),
    ...kernelImports(folder),
    "",
    "export default createWorker({",
    ...modelOptions(settings),
    `  cpuMs: ${CPU_MS},`,
    PACK,
    "});",
  ]);
}

/** Engine objects: the model, for fronts. */
export function engineModule(folder: string, settings: WorkerSettings): string {
  return lines([
    HEADER,
    importsOf(folder, ["createEngineObject"]),
    ...kernelImports(folder),
    "",
    `export class ${ENGINE_CLASS} extends createEngineObject({`,
    ...modelOptions(settings),
    PACK,
    "}) {}",
    "",
    "// No request comes here but from Workers that are bound to the class.",
    "export default { fetch: () => new Response(null, { status: 404 }) };",
  ]);
}

export const ENGINE_CLASS = "EngineObject";

/** Classes of objects that a front has, by their bindings. */
export const FRONT_CLASSES = {
  PRONK_QUOTA: "QuotaObject",
  PRONK_RESPONSES: "ResponsesObject",
} as const;

/** The HTTP API in front of engine objects. @param engines the bindings of their classes. */
export function engineFrontModule(folder: string, engines: readonly string[]): string {
  const classes = Object.values(FRONT_CLASSES);
  return lines([
    HEADER,
    importsOf(folder, ["createFrontWorker"]),
    "",
    `export { ${classes.join(", ")} } from ${JSON.stringify(placesFrom(folder).worker)};`,
    "",
    "export default createFrontWorker({",
    PACK,
    `  engines: (env) => [${engines.map((name) => `env.${name}`).join(", ")}],`,
    "});",
  ]);
}

/** A stage: its part of the model, which its variable PRONK_STAGE names. */
export function stageModule(folder: string): string {
  return lines([
    HEADER,
    importsOf(folder, []),
    `import { stageService } from ${JSON.stringify(placesFrom(folder).service)};`,
    ...kernelImports(folder),
    "",
    "export default stageService({",
    "  kernels: { relaxed, plain },",
    PACK,
    "  stage: (env) => env.PRONK_STAGE,",
    "});",
  ]);
}

/** The HTTP API in front of stages. @param stages the bindings of their scripts. */
export function stageFrontModule(
  folder: string,
  stages: readonly string[],
  { slots }: WorkerSettings,
): string {
  return lines([
    HEADER,
    importsOf(folder, ["createStagedWorker"]),
    "",
    "export default createStagedWorker({",
    `  slots: ${slots},`,
    PACK,
    "  stages: (env) => [",
    ...stages.map((name) => `    env.${name},`),
    "  ],",
    "});",
  ]);
}

function modelOptions({ id, ctx, slots, kv }: WorkerSettings): string[] {
  const options = { id, ctx, slots, kv };
  return [
    ...Object.entries(options).map(([key, value]) => `  ${key}: ${JSON.stringify(value)},`),
    "  kernels: { relaxed, plain },",
  ];
}

function importsOf(folder: string, names: readonly string[]): string {
  const from = JSON.stringify(placesFrom(folder).worker);
  return `import { ${[...names, "packRelease", "r2Source"].join(", ")} } from ${from};`;
}

function kernelImports(folder: string): string[] {
  const { kernel } = placesFrom(folder);
  return (["plain", "relaxed"] as const).map(
    (name) => `import ${name} from ${JSON.stringify(kernel(name))};`,
  );
}

function lines(text: readonly string[]): string {
  return `${text.join("\n")}\n`;
}

interface Places {
  readonly worker: string;
  readonly service: string;
  kernel(name: "plain" | "relaxed"): string;
}

/** The package by its name where the folder's own `pronk` is this one, else by paths. */
function placesFrom(folder: string): Places {
  const root = realpathSync(packageRoot());
  const manifest = resolveFrom(folder, "pronk/package.json");
  const built = join(root, "dist", "src", "platform", "cloudflare");
  const source = join(root, "src", "platform", "cloudflare");
  const isOwn = manifest !== undefined && dirname(realpathSync(manifest)) === root;
  const isBuilt = existsSync(join(built, "index.js"));
  if (isOwn && isBuilt) {
    return {
      worker: "pronk/cloudflare",
      service: "pronk/cloudflare/service",
      kernel: (name) => `pronk/kernels/${name}.wasm`,
    };
  }
  const path = (to: string): string => {
    const found = relative(folder, to).split(sep).join("/");
    return found.startsWith(".") ? found : `./${found}`;
  };
  const module = (name: string): string =>
    path(isBuilt ? join(built, `${name}.js`) : join(source, `${name}.ts`));
  return {
    worker: module("index"),
    service: module("service"),
    kernel: (name) => path(join(root, "wasm", "dist", `${name}.wasm`)),
  };
}
