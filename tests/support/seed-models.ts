/**
 * Small models that stand where the seeds' examples name large ones: Hugging Face directories with random weights and
 * real tokenizers, and a hub that has them under the names of the pages.
 */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { saveHfDirectory } from "../../src/checkpoints/save-hf.ts";
import { outputFolder } from "../../src/platform/host/output-folder.ts";
import { type HubServer, startHubServer } from "../unit/platform/hub-server.ts";
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

/** A hub with directories as repositories: `{ "meta-llama/Llama-2-7b-hf": folder }`. */
export async function startSeedHub(folders: Readonly<Record<string, string>>): Promise<HubServer> {
  const server = await startHubServer();
  for (const [repo, folder] of Object.entries(folders)) {
    const names = await readdir(folder);
    const files = await Promise.all(
      names.map(async (name) => {
        const bytes = new Uint8Array(await readFile(join(folder, name)));
        return [name, { bytes, lfs: /\.(safetensors|msgpack|model)$/.test(name) }] as const;
      }),
    );
    server.publish(repo, Object.fromEntries(files));
  }
  return server;
}
