/** The zip form of `torch.save`: `NAME/data.pkl` and `NAME/data/KEY` for each storage. */
import { PronkError } from "../../errors.ts";
import type { ByteSource } from "../../sources/source.ts";
import { torchGlobals } from "./globals.ts";
import type { TorchFile } from "./read-torch.ts";
import { MAX_PICKLE_BYTES, StorageTable } from "./storage-table.ts";
import { Unpickler } from "./unpickle.ts";
import { readZipIndex } from "./zip-index.ts";

const PICKLE = "/data.pkl";

/** @throws PronkError "bad_format"; "unsupported". */
export async function readZipFile(source: ByteSource, signal?: AbortSignal): Promise<TorchFile> {
  const bad = (what: string): PronkError => new PronkError("bad_format", `${source.name}: ${what}`);
  const members = await readZipIndex(source, signal);
  const pickles = [...members.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) throw bad(`${pickles.length} members named NAME${PICKLE}`);
  const folder = pickles[0]!.slice(0, -PICKLE.length);

  const read = async (name: string, limit: number): Promise<Uint8Array | undefined> => {
    const member = members.get(`${folder}/${name}`);
    if (member === undefined) return undefined;
    if (member.bytes > limit) throw bad(`${name} has ${member.bytes} bytes, not up to ${limit}`);
    const bytes = new Uint8Array(member.bytes);
    await source.readInto(bytes, member.start, signal);
    return bytes;
  };
  const order = new TextDecoder().decode(await read("byteorder", "little".length));
  if (order !== "" && order !== "little") {
    throw new PronkError("unsupported", `${source.name}: byte order ${order}`);
  }

  const name = `${source.name}: data.pkl`;
  const pickle = (await read("data.pkl", MAX_PICKLE_BYTES))!;
  const storages = new StorageTable(name);
  const root = new Unpickler(pickle, storages.rules(torchGlobals(name))).run();
  return {
    root,
    locate(storage) {
      const member = members.get(`${folder}/data/${storage.key}`);
      const bytes = storage.elements * storage.elementBytes;
      if (member === undefined) throw bad(`storage ${storage.key} is missing`);
      if (member.bytes === bytes) return member.start;
      throw bad(`storage ${storage.key} has ${member.bytes} bytes, its tensors say ${bytes}`);
    },
  };
}
