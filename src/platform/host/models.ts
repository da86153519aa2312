/** The model classes, Auto classes and tokenizers of a host with files. */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PronkError } from "../../errors.ts";
import { parseModelReference, refuseHash } from "../../hub/model-reference.ts";
import { bindClasses, type PretrainedClasses } from "../../llama/auto/bind-classes.ts";
import { bindTokenizers, type TokenizerClasses } from "../../llama/auto/tokenizer-classes.ts";
import {
  innerFolder,
  type ModelOpener,
  type OpenedName,
  type OpenRequest,
  refuseRevision,
} from "../../llama/modeling/pretrained-source.ts";
import { httpFolder } from "../../sources/http.ts";
import { retryingFolder } from "../../sources/retrying.ts";
import { now } from "../clock.ts";
import type { Environment } from "./cache-folder.ts";
import { createRuntime } from "./create-engine.ts";
import { directoryFolder } from "./directory.ts";
import type { Host } from "./host.ts";
import { type OpenModelOptions, openUnpacked } from "./open-model.ts";
import { outputFolder } from "./output-folder.ts";
import type { HubReference } from "./pull-repository.ts";

const CLASSES = new WeakMap<Host, PretrainedClasses>();

/** The same for each call: a hub's models are instances of the entry's classes. */
export function hostModels(host: Host): PretrainedClasses {
  const found = CLASSES.get(host) ?? bindClasses(hostOpener(host));
  CLASSES.set(host, found);
  return found;
}

export function hostTokenizers(host: Host): TokenizerClasses {
  return bindTokenizers({ open: (name, request) => openPretrained(host, name, request) });
}

function hostOpener(host: Host): ModelOpener {
  return {
    open: (name, request) => openPretrained(host, name, request),
    runtime: async (kernels) =>
      kernels ? { kernels, now, gpu: host.gpu } : createRuntime(host, 128),
    outputFolder,
    yieldTask: host.yieldTask,
  };
}

/** `OWNER/REPO`, which transformers takes for the hub where there is no such path. */
const REPOSITORY = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;

async function openPretrained(host: Host, name: string, request: OpenRequest): Promise<OpenedName> {
  const { signal, subfolder } = request;
  const options = {
    env: environmentOf(request),
    fetch: request.fetch ?? host.fetch,
    ...(signal && { signal }),
    onPull: request.onProgress,
  };
  let reference = parseModelReference(name);
  const found = reference.kind === "path" ? await stat(name).catch(() => undefined) : undefined;
  if (reference.kind === "path" && !found && REPOSITORY.test(name)) {
    reference = parseModelReference(`hf:${name}`);
  }
  if (reference.kind === "hub") return openRepository(host, reference, request, options);
  refuseRevision(request, name);
  if (found?.isDirectory()) return opened(await innerFolder(directoryFolder(host, name), request));
  if (reference.kind === "url" && !new URL(reference.url).pathname.endsWith(".gguf")) {
    refuseHash(reference, "folder");
    const url = reference.url.replace(/\/*(manifest\.json)?$/, "");
    return opened(await innerFolder(retryingFolder(httpFolder(url, options)), request));
  }
  if (subfolder) {
    throw new PronkError("bad_request", `subfolder ${subfolder}: ${name} is no folder`, {
      param: "subfolder",
    });
  }
  const { input, close } = await openUnpacked(host, name, options);
  return { source: input, close };
}

async function openRepository(
  host: Host,
  reference: HubReference,
  request: OpenRequest,
  options: OpenModelOptions,
): Promise<OpenedName> {
  const { part, kinds, subfolder, gguf_file, variant, revision = "main" } = request;
  if (typeof variant === "string") {
    const what = `variant ${variant}: it is read of folders, not of the hub's repositories`;
    throw new PronkError("unsupported", what, { param: "variant" });
  }
  const isNamed = reference.revision !== "main";
  if (isNamed && revision !== "main" && revision !== reference.revision) {
    const what = `revision ${revision}: the model's name says ${reference.revision}`;
    throw new PronkError("bad_request", what, { param: "revision" });
  }
  const wanted = {
    ...reference,
    revision: isNamed ? reference.revision : revision,
    choice: gguf_file ?? reference.choice,
  };
  const { pullRepository } = await import("./pull-repository.ts");
  const whole = wanted.choice === undefined ? part : "model";
  const [first] = await pullRepository(wanted, { ...options, onProgress: options.onPull }, whole, {
    ...{ subfolder, kinds },
    variant: variant ?? undefined,
  });
  if (!first!.path.endsWith(".gguf")) return opened(directoryFolder(host, dirname(first!.path)));
  const { input, close } = await openUnpacked(host, first!.path, options);
  return { source: input, close };
}

function opened(source: OpenedName["source"]): OpenedName {
  return { source, close: async () => {} };
}

/** What the options say of downloads, as the variables that are read. */
function environmentOf({ env, cache_dir, local_files_only, token }: OpenRequest): Environment {
  return {
    ...(env ?? process.env),
    ...(cache_dir && { HF_HUB_CACHE: cache_dir, PRONK_CACHE: join(cache_dir, "pronk") }),
    ...(local_files_only && { HF_HUB_OFFLINE: "1" }),
    ...(token === false && { HF_TOKEN: undefined }),
  };
}
