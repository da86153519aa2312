/**
 * Small models that stand where the seeds' examples name large ones: Hugging Face directories with random weights and
 * real tokenizers, and a hub that has them under the names of the pages.
 */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openHfDirectory } from "../../src/checkpoints/hf-directory.ts";
import { saveHfDirectory } from "../../src/checkpoints/save-hf.ts";
import { dequantize } from "../../src/formats/gguf/dequantize.ts";
import { directoryFolder } from "../../src/platform/host/directory.ts";
import { outputFolder } from "../../src/platform/host/output-folder.ts";
import { nodeHost } from "../../src/platform/node/host.ts";
import { map, ndarray } from "../unit/formats/msgpack/flax-writer.ts";
import { bytesOf, type Code } from "../unit/formats/torch/torch-writer.ts";
import { type HubServer, type RepoFile, startHubServer } from "../unit/platform/hub-server.ts";
import { randomCheckpoint } from "./random-checkpoint.ts";

export const TOKENIZERS: string = fileURLToPath(new URL("../goldens/tokenizers", import.meta.url));

const SIZE = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
};

/** Of each family: its tokenizer's files, and ids that its configurations have. */
const FAMILIES = {
  llama2: {
    tokenizer: "llama2_sp/fast",
    files: ["llama2_sp/tokenizer.model"],
    fields: { vocab_size: 1000, bos_token_id: 1, eos_token_id: 2 },
  },
  llama3: {
    tokenizer: "llama3_tiktoken/hf",
    files: [],
    fields: { vocab_size: 1256, bos_token_id: 1000, eos_token_id: 1001 },
  },
} as const;

export type Family = keyof typeof FAMILIES;

export interface TinyOptions {
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly seed?: number;
  /** Written into tokenizer_config.json. */
  readonly chatTemplate?: string;
}

/** Writes a model as Llama's repositories have it: half precision, in shards. */
export async function writeTinyLlama(
  folder: string,
  family: Family,
  { fields = {}, seed = 1, chatTemplate }: TinyOptions = {},
): Promise<void> {
  const { tokenizer, files, fields: own } = FAMILIES[family];
  await mkdir(folder, { recursive: true });
  const config = { ...SIZE, ...own, torch_dtype: "float16", ...fields };
  const checkpoint = randomCheckpoint(config, seed, tokenizer);
  await saveHfDirectory(checkpoint, outputFolder(folder), { dtype: "F16", maxShardBytes: 200_000 });
  for (const file of files) {
    await copyFile(join(TOKENIZERS, file), join(folder, file.split("/").at(-1) as string));
  }
  if (chatTemplate === undefined) return;
  const path = join(folder, "tokenizer_config.json");
  const settings = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify({ ...settings, chat_template: chatTemplate }));
}

/** The model of a directory as Flax saves it in f32: dense layers transposed, under Flax's names. */
export async function writeTinyFlax(folder: string, from: string): Promise<void> {
  const { tensors } = await openHfDirectory(directoryFolder(nodeHost, from));
  const root: FlaxTree = {};
  for (const [name, tensor] of tensors) {
    const [rows, columns = 1] = tensor.shape;
    const stored = new Uint8Array(2 * rows * columns);
    await tensor.readRows(0, rows, stored);
    const values = new Float32Array(rows * columns);
    dequantize(tensor.type, stored, values);
    const isEmbedding = name.includes("embed_tokens");
    const isDense = tensor.shape.length === 2 && !isEmbedding;
    const path = name.split(".");
    path[path.length - 1] = isDense ? "kernel" : isEmbedding ? "embedding" : "weight";
    const data = isDense ? transposed(values, rows, columns) : values;
    const shape = isDense ? [columns, rows] : tensor.shape;
    put(root, path, ndarray(shape, new Uint8Array(data.buffer)));
  }
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "flax_model.msgpack"), bytesOf(flaxMap(root)));
  for (const file of await readdir(from)) {
    if (file.endsWith(".json") && !file.includes("safetensors")) {
      await copyFile(join(from, file), join(folder, file));
    }
  }
}

interface FlaxTree {
  [name: string]: FlaxTree | Leaf;
}
interface Leaf {
  readonly code: Code;
}

function put(tree: FlaxTree, [name, ...rest]: readonly string[], code: Code): void {
  if (rest.length === 0) {
    tree[name] = { code };
    return;
  }
  tree[name] ??= {};
  put(tree[name] as FlaxTree, rest, code);
}

function flaxMap(tree: FlaxTree): Code {
  const entries = Object.entries(tree).map(([name, value]): [string, Code] => [
    name,
    "code" in value ? (value as Leaf).code : flaxMap(value as FlaxTree),
  ]);
  return map(Object.fromEntries(entries));
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = values[row * columns + column];
    }
  }
  return out;
}

export interface SeedHub {
  /** What makes a process take models from this hub, into a cache below the root. */
  readonly env: Readonly<Record<string, string>>;
  /** Serves a directory's files as a repository. */
  publish(repo: string, folder: string): Promise<void>;
  close(): Promise<void>;
}

/** A hub with Llama 2's tiny models under names; each is at `root/OWNER/REPO`, too. */
export async function startSeedHub(
  root: string,
  models: Readonly<Record<string, TinyOptions>>,
): Promise<SeedHub> {
  const server: HubServer = await startHubServer();
  const publish = async (repo: string, folder: string): Promise<void> => {
    const files = await Promise.all(
      (await readdir(folder)).map(async (name): Promise<[string, RepoFile]> => {
        const bytes = new Uint8Array(await readFile(join(folder, name)));
        return [name, { bytes, lfs: /\.(safetensors|msgpack|model)$/.test(name) }];
      }),
    );
    server.publish(repo, Object.fromEntries(files));
  };
  for (const [repo, options] of Object.entries(models)) {
    await writeTinyLlama(join(root, repo), "llama2", options);
    await publish(repo, join(root, repo));
  }
  const env = {
    HF_ENDPOINT: server.hub.url,
    HF_HOME: join(root, "hf"),
    PRONK_CACHE: join(root, "cache"),
  };
  return { env, publish, close: () => server.close() };
}
