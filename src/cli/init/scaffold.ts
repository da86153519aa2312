/**
 * Copies an example to be a project of one's own: its name, and the pronk that it depends on, are put in. The examples lie in
 * the package; their tests are those of the copies.
 */
import { constants } from "node:fs";
import { access, copyFile, link, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { PronkError } from "../../errors.ts";
import { makeFolder, syncFolder, writeFileAtomically } from "../../platform/host/atomic-file.ts";
import { onDisk } from "../../platform/host/disk-error.ts";
import { removeAbandoned, temporaryPath } from "../../platform/host/temporary-name.ts";
import { UsageError } from "../arguments.ts";
import { packageRoot } from "../runtimes.ts";
import { TARGETS, type Target } from "./targets.ts";

/** What tools and runs leave in a project; npm publishes no file of the name .gitignore. */
const IGNORED = ["node_modules/", ".wrangler/", ".pronk/", ".dev.vars", ".env"] as const;

/** Of npm: 214 characters at most, no capitals; of wrangler: 63, no dots or underscores. */
const MAX_NAME_CHARS = 63;

export interface ScaffoldOptions {
  /** Absolute. */
  readonly folder: string;
  /** What is depended on: a version, a .tgz or a folder; absent: this package's version. */
  readonly pronk: string | undefined;
  /** Makes a .tgz of a clone in a folder, whose name it returns. */
  readonly packClone: (into: string) => Promise<string>;
}

export interface Scaffold {
  readonly path: string;
  /** Sorted, relative to it. */
  readonly files: readonly string[];
  /** What to type in it, up to an answer: a command each. */
  readonly next: readonly string[];
}

/**
 * A new folder appears whole or not at all. Into one that is there the files come one by one, what names the project last:
 * who is killed in between goes on by running it again.
 *
 * @throws UsageError where files are in the way; PronkError "not_found" where the package has no examples.
 */
export async function scaffold(
  target: Target,
  { folder, pronk, packClone }: ScaffoldOptions,
): Promise<Scaffold> {
  const template = join(packageRoot(), "examples", TARGETS[target].example);
  const texts = new Map<string, string>([[".gitignore", `${IGNORED.join("\n")}\n`]]);
  for (const name of await filesOf(template)) {
    texts.set(name, await readFile(join(template, name), "utf8"));
  }
  await removeAbandoned(folder);
  const isNew = await checkNothingIsThere(folder, texts);
  const around = isNew ? dirname(folder) : folder;
  await onDisk(folder, () => makeFolder(around));
  if (isNew) await removeAbandoned(around);
  const stage = temporaryPath(isNew ? folder : join(folder, ".pronk"));
  let file: string | undefined;
  try {
    await makeFolder(stage);
    const dependency = await dependencyOf(target, folder, stage, pronk, packClone);
    file = dependency.file;
    for (const [name, text] of texts) {
      const edit = edited(name, text, projectName(folder), dependency);
      await writeFileAtomically(join(stage, name), new TextEncoder().encode(edit));
    }
    if (isNew) await moveTo(folder, stage);
    else await moveInto(folder, stage, [...(file === undefined ? [] : [file]), ...texts.keys()]);
    await syncFolder(around);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
  const files = [...texts.keys(), ...(file === undefined ? [] : [file])];
  return { path: folder, files: files.sort(), next: commandsOf(texts.get("README.md") ?? "") };
}

/** @throws UsageError where somebody made the folder meanwhile. */
async function moveTo(folder: string, stage: string): Promise<void> {
  try {
    await rename(stage, folder);
  } catch (error) {
    const isTaken = /EEXIST|ENOTEMPTY|ENOTDIR/.test(String((error as { code?: string }).code));
    throw isTaken ? inTheWay(folder, []) : error;
  }
}

/** What makes a folder a project. */
const MANIFESTS: readonly string[] = ["package.json", "deno.json"];

/** Files of others stay, also those that were made meanwhile. */
async function moveInto(folder: string, stage: string, names: readonly string[]): Promise<void> {
  const ordered = [...names].sort(
    (a, b) => Number(MANIFESTS.includes(a)) - Number(MANIFESTS.includes(b)),
  );
  for (const name of ordered) {
    const [from, to] = [join(stage, name), join(folder, name)];
    await makeFolder(dirname(to));
    if (name.endsWith(".tgz")) await rename(from, to);
    else if (!(await isSame(from, to))) await placeNew(from, to);
  }
}

/** @throws where it is there. */
async function placeNew(from: string, to: string): Promise<void> {
  await link(from, to).catch((error: { code?: string }) => {
    if (error.code === "EEXIST") throw error;
    return copyFile(from, to, constants.COPYFILE_EXCL); // a disk without links
  });
}

async function isSame(a: string, b: string): Promise<boolean> {
  const found = await readFile(b, "utf8").catch(() => undefined);
  return found !== undefined && found === (await readFile(a, "utf8"));
}

interface Dependency {
  /** In package.json. */
  readonly spec: string | undefined;
  /** A folder of the package, which Deno links. */
  readonly link?: string;
  /** Made in the project. */
  readonly file?: string;
}

/** The package's own version, unless another is named or nobody has published this one: a clone's. */
async function dependencyOf(
  target: Target,
  folder: string,
  stage: string,
  asked: string | undefined,
  packClone: ScaffoldOptions["packClone"],
): Promise<Dependency> {
  if (asked !== undefined && /^[\^~]?\d/.test(asked)) return { spec: asked };
  const root = packageRoot();
  const isClone = await exists(join(root, "src", "cli", "main.ts"));
  if (asked === undefined && !isClone) return { spec: undefined };
  const path = asked === undefined ? root : resolve(asked);
  if (!(await exists(path))) throw new UsageError(`--package ${asked}: no version, and no file`);
  const there = relative(folder, path).split(sep).join("/");
  if (target === "deno") {
    if ((await stat(path)).isDirectory()) return { spec: undefined, link: there };
    throw new UsageError(`--package ${asked}: Deno links folders, not archives`);
  }
  if (asked !== undefined) return { spec: `file:${there}` };
  const file = await packClone(stage);
  return { spec: `file:${file}`, file };
}

/** Every file of a template, with / between folders. */
async function filesOf(template: string): Promise<string[]> {
  const names = await readdir(template, { recursive: true }).catch((cause) => {
    throw new PronkError("not_found", `${template}: the package was installed without it`, {
      cause,
    });
  });
  const kept = names.map((name) => name.split(sep).join("/")).filter((name) => !isLeftover(name));
  const found = await Promise.all(kept.map((name) => stat(join(template, name))));
  return kept.filter((_, i) => found[i].isFile());
}

/** Of an example that somebody ran where it is. */
function isLeftover(name: string): boolean {
  const parts = name.split("/");
  const isIgnored = IGNORED.some((ignored) => parts.includes(ignored.replace("/", "")));
  return isIgnored || /^(?:package-lock\.json|deno\.lock|bun\.lockb?)$/.test(name);
}

/**
 * @returns whether the folder is new.
 * @throws UsageError naming what is in the way.
 */
async function checkNothingIsThere(
  folder: string,
  texts: ReadonlyMap<string, string>,
): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined) return true;
  if (!found.isDirectory()) throw new UsageError(`${folder}: is a file`);
  const there: string[] = [];
  for (const name of texts.keys()) if (await exists(join(folder, name))) there.push(name);
  if (there.length === 0) return false;
  // What was begun and not finished is gone on with.
  const isBegun = !there.some((name) => MANIFESTS.includes(name));
  for (const name of isBegun ? there : []) {
    const text = edited(name, texts.get(name) ?? "", projectName(folder), { spec: undefined });
    const theirs = await readFile(join(folder, name), "utf8").catch(() => undefined);
    if (theirs !== text) throw inTheWay(folder, there);
  }
  if (!isBegun) throw inTheWay(folder, there);
  return false;
}

function inTheWay(folder: string, names: readonly string[]): UsageError {
  const what = names.join(", ") || "something";
  const those = names.length > 1 ? "are" : "is";
  return new UsageError(
    `${folder}: ${what} ${those} there already; nothing was written: name another folder, or move it away`,
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

/** The folder's, as npm and wrangler take it. */
function projectName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-");
  return name.slice(0, MAX_NAME_CHARS).replace(/^-+|-+$/g, "") || "llm";
}

function edited(file: string, text: string, name: string, { spec, link }: Dependency): string {
  if (file === "wrangler.toml") return text.replace(/^name = .*$/m, `name = "${name}"`);
  if (file === "package.json") {
    const manifest = JSON.parse(text);
    if (spec !== undefined) manifest.dependencies.pronk = spec;
    return `${JSON.stringify({ name, ...manifest }, undefined, 2)}\n`;
  }
  if (file !== "deno.json") return text;
  const config = JSON.parse(text);
  if (spec !== undefined) {
    for (const [key, value] of Object.entries<string>(config.imports)) {
      config.imports[key] = value.replace(/^npm:pronk@[^/]+/, `npm:pronk@${spec}`);
    }
  }
  const links = link === undefined ? {} : { links: [link], nodeModulesDir: "auto" };
  return `${JSON.stringify({ ...config, ...links }, undefined, 2)}\n`;
}

/** The commands of a README's first two blocks: to start it, and to ask it. */
function commandsOf(readme: string): string[] {
  const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```/gm)].slice(0, 2);
  return blocks.flatMap(([, block = ""]) => block.trim().split("\n"));
}
