/**
 * The tensors of what `torch.save` wrote: `pytorch_model.bin`, `consolidated.00.pth`, `model.pt`.
 *
 * Two forms: a zip archive with `data.pkl` and a member for each storage (PyTorch 1.6 and later), and
 * before it pickles followed by the storages. Pickles go through `Unpickler`, which runs nothing.
 * Storages stay in the file: their rows are read when asked for.
 * Source: torch/serialization.py of PyTorch 2.9.
 */
import { PronkError } from "../../errors.ts";
import type { ByteSource } from "../../sources/source.ts";
import type { FloatTensor, FloatType } from "../float-tensor.ts";
import { printable } from "../printable.ts";
import { stridedTensor } from "../strided-tensor.ts";
import { isTorchTensor, type StorageType, type TorchStorage, type TorchTensor } from "./globals.ts";
import { readLegacyFile } from "./legacy-file.ts";
import { PickleDict } from "./pickle-values.ts";
import { readZipFile } from "./zip-file.ts";

/** A tensor of a state dict, of any type: those that are not weights are never opened. */
export interface StateTensor {
  readonly storageType: StorageType;
  /** Outermost first. */
  readonly shape: readonly number[];
  /**
   * Its rows, under the name that they shall have.
   *
   * @throws PronkError "unsupported" when it is no float or its strides cannot be read.
   */
  open(name: string): FloatTensor;
}

/** What both forms give. */
export interface TorchFile {
  /** What was saved. */
  readonly root: unknown;
  /** Offset of a storage's first byte; all of it is in the file. */
  locate(storage: TorchStorage): number;
}

const FLOAT_TYPES: Partial<Record<StorageType, FloatType>> = {
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
};

/** Under these names checkpoints of trainers, and fairseq2's, hold the state dict. */
const WRAPPERS = ["model", "state_dict"];

const ZIP_SIGNATURE = 0x504b0304;
const PICKLE_SIGNATURE = 0x80;

/**
 * The state dict in a file, by name.
 *
 * @throws PronkError "unsupported" naming what the file asks for and does not get; "bad_format".
 */
export async function readTorch(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<Map<string, StateTensor>> {
  const magic = new DataView(new ArrayBuffer(4));
  if (source.size >= magic.byteLength) {
    await source.readInto(new Uint8Array(magic.buffer), 0, signal);
  }
  if (magic.getUint32(0) === ZIP_SIGNATURE) {
    return stateDict(source, await readZipFile(source, signal));
  }
  if (magic.getUint8(0) === PICKLE_SIGNATURE) {
    return stateDict(source, await readLegacyFile(source, signal));
  }
  throw new PronkError("bad_format", `${source.name}: not a file of torch.save: no zip, no pickle`);
}

function stateDict(source: ByteSource, file: TorchFile): Map<string, StateTensor> {
  const bad = (what: string): PronkError => new PronkError("bad_format", `${source.name}: ${what}`);
  let root = file.root;
  if (root instanceof PickleDict && ![...root.values()].some(isTorchTensor)) {
    for (const wrapper of WRAPPERS) {
      if (root instanceof PickleDict) root = root.get(wrapper) ?? root;
    }
  }
  if (!(root instanceof PickleDict)) throw bad("holds no state dict");
  const tensors = new Map<string, StateTensor>();
  for (const [key, value] of root) {
    if (typeof key !== "string") throw bad(`the state dict has a key that is no string`);
    if (!isTorchTensor(value)) throw bad(`${printable(key)}: not a tensor`);
    tensors.set(key, stateTensor(source, file.locate(value.storage), value));
  }
  return tensors;
}

function stateTensor(source: ByteSource, start: number, tensor: TorchTensor): StateTensor {
  const { storage, offset, shape, strides } = tensor;
  return {
    storageType: storage.type,
    shape,
    open(name) {
      const type = FLOAT_TYPES[storage.type];
      if (type === undefined) {
        const what = `${source.name}: tensor ${printable(name)}: torch.${storage.type}`;
        throw new PronkError("unsupported", `${what} holds no float32, float16 or bfloat16`);
      }
      return stridedTensor({
        name,
        type,
        shape,
        strides,
        source,
        start: start + offset * storage.elementBytes,
      });
    },
  };
}
