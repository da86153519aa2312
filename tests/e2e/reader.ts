/** Somebody who reads a guide or a tutorial: an empty folder for each, with the package and SmolLM2 where they look for them. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { findRuntime, packageRoot } from "../../src/cli/runtimes.ts";
import { knownModel } from "../../src/hub/known-models.ts";
import { outputDirectory } from "../../src/platform/node/index.ts";
import type { OpenDocument } from "../support/document-commands.ts";
import { writeRandomLora } from "../support/random-lora.ts";
import { MODEL_FILE } from "./environment.ts";
import { runDocument } from "./run-document.ts";

const root = packageRoot();
const model = knownModel("smollm2-135m-instruct")!;

export interface Reading {
  readonly signal: AbortSignal;
  /** What is run in a command's place, in which folder; undefined: nothing. */
  readonly typed?: (command: string, folder: string) => string | undefined;
  /** Called while the servers still run. */
  readonly last?: () => Promise<void>;
}

/**
 * The reader of some documents: gives what runs one of them in a folder of its own.
 *
 * @param folder of docs/, where they lie
 * @param moved its ports as others, far from those of the machine's own services and of other tests
 */
export function reader(
  folder: string,
  moved: (text: string) => string,
): (document: OpenDocument, reading: Reading) => Promise<void> {
  /** Packed once for all of them. */
  const cache = join(root, ".cache", folder);
  let parent: string;

  beforeAll(async () => {
    parent = mkdtempSync(join(tmpdir(), `pronk-${folder}-`));
    const models = join(cache, "models", model.name);
    rmSync(models, { recursive: true, force: true });
    mkdirSync(models, { recursive: true });
    symlinkSync(MODEL_FILE, join(models, model.file));
    const modules = join(parent, "node_modules");
    mkdirSync(join(modules, ".bin"), { recursive: true });
    for (const name of readdirSync(join(root, "node_modules"))) {
      if (!name.startsWith(".")) symlinkSync(join(root, "node_modules", name), join(modules, name));
    }
    symlinkSync(root, join(modules, "pronk"));
    symlinkSync(join(root, "dist/src/cli/main.js"), join(modules, ".bin", "pronk"));
    for (const runtime of ["deno", "bun"] as const) {
      symlinkSync(findRuntime(runtime), join(modules, ".bin", runtime));
    }
    cpSync(join(root, "README.md"), join(parent, "README.md"));
    const sizes = { hidden: 576, kvDim: 192, layers: 30, r: 8, size: 0.15, seed: 1 };
    await writeRandomLora(outputDirectory(join(parent, "sql-lora")), sizes);
  });

  afterAll(() => rmSync(parent, { recursive: true, force: true, maxRetries: 5 }));

  return async (document, { signal, typed = (command) => command, last }) => {
    const at = mkdtempSync(join(parent, "reader-"));
    cpSync(join(parent, "README.md"), join(at, "README.md"));
    cpSync(join(parent, "sql-lora"), join(at, "sql-lora"), { recursive: true });
    const bin = [join(parent, "node_modules", ".bin"), join(root, "node_modules", ".bin")];
    const here = new Map(document.commands.map((command) => [moved(command), command]));
    await runDocument(join(root, document.file), {
      folder: at,
      signal,
      moved,
      typed(command) {
        const own = here.get(command);
        if (own === undefined) return undefined; // said beside it, or done by another test
        document.ran(own);
        return typed(command, at);
      },
      ...(last && { last }),
      env: {
        ...process.env,
        PATH: [...bin, process.env.PATH].join(":"),
        PRONK_CACHE: cache,
        PRONK_MODEL: "",
        PORT: moved("8787"),
        HF_HUB_OFFLINE: "1",
        NO_COLOR: "1",
        WRANGLER_SEND_METRICS: "false",
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        DENO_NO_UPDATE_CHECK: "1",
        DO_NOT_TRACK: "1",
      },
    });
    document.expectAllRan();
  };
}
