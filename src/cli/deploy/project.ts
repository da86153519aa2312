/**
 * What wrangler deploys: for each script its module and its configuration, in a folder of their own, in the order in which
 * they have to be there: who is called before who calls.
 */
import { existsSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { writeFileAtomically } from "../../platform/host/atomic-file.ts";
import { packageRoot } from "../runtimes.ts";
import {
  CPU_MS,
  ENGINE_CLASS,
  engineFrontModule,
  engineModule,
  FRONT_CLASSES,
  stageFrontModule,
  stageModule,
  wholeModule,
} from "./modules.ts";
import type { WorkerSettings } from "./topology.ts";

/** As of wrangler.toml, which the tests run. */
const COMPATIBILITY_DATE = "2026-04-01";

/** Delivers a client's going away to request.signal. */
const COMPATIBILITY_FLAGS = ["enable_request_signal"];

/** The module beside each configuration. */
const MAIN = "worker.js";

/** Of a script's name, so that `-stage-31` can follow it. */
const STEM_CHARS = 50;

export interface ProjectOptions {
  /** The Worker's name. */
  readonly name: string;
  readonly bucket: string;
  readonly prefix: string;
  /** The manifest's checksum: the Workers read this release and no other. */
  readonly release: string;
  readonly settings: WorkerSettings;
  /** Whose signature the Workers ask for; undefined: nobody's. */
  readonly publicKeys?: readonly string[] | undefined;
}

/** One script of a deployment. */
export interface Script {
  readonly name: string;
  readonly kind: "whole" | "engine" | "stage" | "front";
  /** For people: `routes, tokenizer and model`. */
  readonly role: string;
  /** Which of the model's isolates it is, from 0; undefined: it has no weights. */
  readonly part: number | undefined;
  /** Whether this is the one that clients ask. */
  readonly isFront: boolean;
}

export interface WrittenScript extends Script {
  /** The path of its wrangler configuration. */
  readonly config: string;
}

/** The scripts of a deployment, in the order in which they are deployed. */
export function scriptsOf(
  name: string,
  { topology, stages = [], engines = 1 }: WorkerSettings,
): Script[] {
  if (topology === "isolate") {
    const role = "routes, tokenizer and model";
    return [{ name, kind: "whole", role, part: 0, isFront: true }];
  }
  const kind = topology === "objects" ? "engine" : "stage";
  const role = topology === "objects" ? "engine objects with the model" : "a stage of the model";
  const count = topology === "objects" ? engines : stages.length;
  const behind = Array.from(
    { length: count },
    (_, part): Script => ({
      name: `${name.slice(0, STEM_CHARS)}-${kind}-${part + 1}`,
      kind,
      role,
      part,
      isFront: false,
    }),
  );
  const front = { name, kind: "front", role: "routes and tokenizer", isFront: true } as const;
  return [...behind, { ...front, part: undefined }];
}

/**
 * Writes the scripts of a deployment into a folder, the one that clients ask at its top.
 *
 * @returns them in the order of deployment.
 */
export async function writeProject(
  folder: string,
  options: ProjectOptions,
): Promise<WrittenScript[]> {
  const scripts = scriptsOf(options.name, options.settings);
  const written: WrittenScript[] = [];
  for (const script of scripts) {
    const place = script.isFront ? folder : join(folder, script.name);
    const behind = scripts.filter(({ isFront }) => !isFront);
    const { module, bindings } = contentOf(place, script, behind, options.settings);
    const config = join(place, "wrangler.json");
    await write(join(place, MAIN), module);
    const common = commonConfig(script, options);
    const page = script.isFront ? pageAssets(place) : {};
    const vars = { ...common.vars, ...bindings.vars };
    const all = { ...common, ...page, ...bindings, vars };
    await write(config, `${JSON.stringify(all, null, 2)}\n`);
    written.push({ ...script, config });
  }
  return written;
}

/** The playground beside the script, at `/`: files of its own, which cost the script nothing. */
function pageAssets(place: string): Readonly<Record<string, unknown>> {
  const folder = join(packageRoot(), "dist", "playground", "server");
  if (!existsSync(folder)) return {}; // the sources, before they are built
  return { assets: { directory: relative(place, folder).split(sep).join("/") } };
}

function commonConfig(
  { name, isFront }: Script,
  { bucket, prefix, release, publicKeys }: ProjectOptions,
): Readonly<Record<string, unknown>> & { readonly vars: Variables } {
  return {
    name,
    main: MAIN,
    compatibility_date: COMPATIBILITY_DATE,
    compatibility_flags: COMPATIBILITY_FLAGS,
    send_metrics: false,
    minify: true,
    upload_source_maps: true,
    // Scripts behind a front have no address of their own.
    ...(!isFront && { workers_dev: false, preview_urls: false }),
    observability: { enabled: true },
    limits: { cpu_ms: CPU_MS },
    // Nothing secret: variables are shown on the dashboard, and this file may be in git.
    vars: {
      PACK: prefix,
      RELEASE: release,
      ...(publicKeys && { PRONK_PUBLIC_KEY: publicKeys.join(",") }),
    },
    r2_buckets: [{ binding: "MODELS", bucket_name: bucket }],
  };
}

type Variables = Readonly<Record<string, string>>;

interface Content {
  readonly module: string;
  /** Of its wrangler configuration, what other scripts have otherwise. */
  readonly bindings: Readonly<Record<string, unknown>> & { readonly vars?: Variables };
}

function contentOf(
  folder: string,
  script: Script,
  behind: readonly Script[],
  settings: WorkerSettings,
): Content {
  const { kind } = script;
  if (kind === "whole") return { module: wholeModule(folder, settings), bindings: {} };
  if (settings.topology === "stages") return stageContent(folder, script, behind, settings);
  if (kind === "engine") {
    return {
      module: engineModule(folder, settings),
      bindings: {
        durable_objects: { bindings: [{ name: "ENGINES", class_name: ENGINE_CLASS }] },
        migrations: [{ tag: "engine", new_sqlite_classes: [ENGINE_CLASS] }],
      },
    };
  }
  const engines = behind.map(({ name }, i) => ({
    name: `ENGINES_${i + 1}`,
    class_name: ENGINE_CLASS,
    script_name: name,
  }));
  const own = Object.entries(FRONT_CLASSES).map(([name, class_name]) => ({ name, class_name }));
  const module = engineFrontModule(
    folder,
    engines.map(({ name }) => name),
  );
  return {
    module,
    bindings: {
      durable_objects: { bindings: [...engines, ...own] },
      migrations: [{ tag: "front", new_sqlite_classes: Object.values(FRONT_CLASSES) }],
    },
  };
}

function stageContent(
  folder: string,
  { part }: Script,
  behind: readonly Script[],
  settings: WorkerSettings,
): Content {
  if (part !== undefined) {
    const bindings = { vars: { PRONK_STAGE: JSON.stringify(settings.stages?.[part]) } };
    return { module: stageModule(folder), bindings };
  }
  const services = behind.map(({ name }, i) => ({ binding: `STAGE_${i + 1}`, service: name }));
  const names = services.map(({ binding }) => binding);
  return { module: stageFrontModule(folder, names, settings), bindings: { services } };
}

function write(path: string, text: string): Promise<void> {
  return writeFileAtomically(path, new TextEncoder().encode(text));
}
