/** pronk page: a folder for any host of files, whose page runs the models beside it in its visitors' browsers. */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { packModel } from "../engine/pack-model.ts";
import { PronkError } from "../errors.ts";
import { copyPack } from "../pack/copy-pack.ts";
import { readManifest } from "../pack/loader.ts";
import { MANIFEST_NAME, type Manifest } from "../pack/manifest.ts";
import { objectName } from "../pack/shards.ts";
import { MODELS_NAME, parseSiteModels, type SiteModel } from "../pack/site-models.ts";
import { writeFileAtomically } from "../platform/host/atomic-file.ts";
import { openNamedModel } from "../platform/host/create-engine.ts";
import { directoryTarget } from "../platform/host/directory.ts";
import { withFolderLock } from "../platform/host/folder-lock.ts";
import { lastPart } from "./address.ts";
import { flagOption, textOption, UsageError } from "./arguments.ts";
import type { Arguments, CliContext, Command } from "./command.ts";
import {
  JSON_OPTION,
  modelName,
  WEIGHT_OPTIONS,
  weightOptions,
  withProgress,
} from "./model-options.ts";
import { packageRoot } from "./runtimes.ts";

/** Beside the page: a folder for each model. */
const MODELS_FOLDER = "models";

/** Of the page's own files, but index.html and what hosts read: those of an older version are removed. */
const FILES_FOLDER = "playground";

const INDEX = "index.html";

/** Two that wrote at once would lose each other's models, and remove each other's files. */
const LOCK = ".pronk-page.lock";

export const page: Command = {
  name: "page",
  group: "Put it online",
  summary: "write a page that runs a model in its visitors' browsers, for any host of files",
  examples: [
    { line: "pronk page --out site", does: "the playground, with the default model beside it" },
    {
      line: "pronk page model.gguf --out site",
      does: "another model; into a page that is there already it comes beside the others",
    },
    {
      line: "pronk page --without-model --out site",
      does: "the page alone: visitors open GGUF files of their own",
    },
  ],
  positionals: "[MODEL] --out DIR",
  maxPositionals: 1,
  options: {
    out: { type: "string", value: "DIR", help: "the page's folder; models that it has stay" },
    "without-model": { type: "boolean", help: "the page alone: visitors open files of their own" },
    ...WEIGHT_OPTIONS,
    ...JSON_OPTION,
  },
  async run(input, cli): Promise<void> {
    const given = textOption(input, "out");
    if (!given) throw new UsageError("--out DIR is missing");
    const out = resolve(given);
    const written = await withFolderLock(
      out,
      LOCK,
      {
        signal: cli.signal,
        onWait: () => cli.note(`pronk page: waits for another one that writes into ${given}\n`),
      },
      () => write(input, out, cli),
    );
    const { models, count, bytes } = written;
    cli.out(
      flagOption(input, "json")
        ? `${JSON.stringify({ path: out, models, files: count, bytes })}\n`
        : `${out}: ${models.join(", ") || "no model"}; ${count} files, ${bytes} bytes\n` +
            `see it: npx serve ${given}; publish it: npx wrangler deploy --assets ${given} --name NAME --compatibility-date 2026-01-01\n`,
    );
  },
};

/** Everything that has to see the folder as it leaves it: the list is read and written, what nobody names is removed. */
async function write(
  input: Arguments,
  out: string,
  cli: CliContext,
): Promise<{ models: readonly string[]; count: number; bytes: number }> {
  const files = await writePage(out);
  const listed = await readList(out);
  const added = flagOption(input, "without-model")
    ? undefined
    : await addModel(modelName(input, cli), weightOptions(input), out, cli);
  const models = [...listed.filter(({ id }) => id !== added?.id), ...(added ? [added] : [])];
  const list = `${JSON.stringify({ models }, null, 1)}\n`;
  await writeFileAtomically(join(out, MODELS_NAME), new TextEncoder().encode(list));
  await removeOlder(out, files);
  return { models: models.map(({ id }) => id), ...(await measure(out)) };
}

/**
 * The built page over an older one, which can be read all the while: index.html, which names the others by their content,
 * comes last.
 *
 * @returns the page's files, relative to it.
 */
async function writePage(out: string): Promise<ReadonlySet<string>> {
  const built = join(packageRoot(), "dist", "playground", "static");
  if (!(await stat(join(built, INDEX)).catch(() => undefined))) {
    throw new PronkError("not_found", `${built}: no page is built there; npm run build makes it`);
  }
  const found = await readdir(built, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(built.length + 1));
  const place = (name: string): number =>
    name === INDEX ? 2 : name.startsWith(FILES_FOLDER + sep) ? 0 : 1;
  for (const name of paths.sort((a, b) => place(a) - place(b))) {
    await writeFileAtomically(join(out, name), await readFile(join(built, name)));
  }
  return new Set(paths);
}

/** What an older page has left, which nothing names any more. */
async function removeOlder(out: string, files: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(join(out, FILES_FOLDER))) {
    if (files.has(join(FILES_FOLDER, name))) continue;
    await rm(join(out, FILES_FOLDER, name), { recursive: true, force: true });
  }
}

/** What is beside the page already. */
async function readList(out: string): Promise<readonly SiteModel[]> {
  const text = await readFile(join(out, MODELS_NAME), "utf8").catch(() => undefined);
  return text === undefined ? [] : parseSiteModels(text, "https://page.invalid/");
}

async function addModel(
  name: string,
  weights: ReturnType<typeof weightOptions>,
  out: string,
  cli: CliContext,
): Promise<SiteModel> {
  const { host, env, fetch, signal } = cli;
  return withProgress(cli, async (onProgress) => {
    const opened = await openNamedModel(host, name, { ...weights, env, fetch, signal, onProgress });
    try {
      const { id, input } = opened;
      const place = (folder: string) => directoryTarget(join(out, MODELS_FOLDER, folder));
      const report = (loaded: number, total: number): void =>
        onProgress({ phase: "pack", loaded, total });
      let manifest: Manifest;
      let folder: string;
      if ("pack" in input) {
        folder = folderName(id ?? (await readManifest(input.pack, signal)).name);
        manifest = await copyPack(input.pack, place(folder), {
          signal,
          onProgress: ({ copied, total }) => report(copied, total),
        });
      } else {
        folder = folderName(id ?? name);
        manifest = await packModel(input, place(folder), {
          id,
          ...weights,
          signal,
          onProgress: ({ packed, total }) => report(packed, total),
        });
      }
      await removeOthers(join(out, MODELS_FOLDER, folder), manifest);
      return entryOf(manifest, folder);
    } finally {
      await opened.close();
    }
  });
}

/** For a URL: `SmolLM2 135M.gguf` -> `smollm2-135m`. */
function folderName(name: string): string {
  const plain = lastPart(name)
    .replace(/\.gguf$/i, "")
    .toLowerCase();
  return plain.replace(/[^a-z0-9.]+/g, "-").replace(/^[-.]+|[-.]+$/g, "") || "model";
}

/** What an older pack of this model has left. */
async function removeOthers(folder: string, { shards, tokenizer }: Manifest): Promise<void> {
  const objects = tokenizer ? [...shards, tokenizer] : shards;
  const own = new Set([MANIFEST_NAME, ...objects.map(objectName)]);
  for (const name of await readdir(folder)) if (!own.has(name)) await rm(join(folder, name));
}

function entryOf(manifest: Manifest, folder: string): SiteModel {
  const { name: id, weight_bytes, tokenizer, checksum = "", license } = manifest;
  const bytes = weight_bytes + (tokenizer?.bytes ?? 0);
  return { id, folder: `${MODELS_FOLDER}/${folder}`, bytes, checksum, license };
}

async function measure(out: string): Promise<{ count: number; bytes: number }> {
  const names = (await readdir(out, { recursive: true })).filter((name) => name !== LOCK);
  const found = await Promise.all(names.map((name) => stat(join(out, name))));
  const sizes = found.filter((entry) => entry.isFile()).map(({ size }) => size);
  return { count: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}
