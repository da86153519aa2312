/**
 * The globals that PyTorch's state dicts need, and what stands in for them: descriptions of storages
 * and tensors, never their bytes.
 *
 * Source: torch/_weights_only_unpickler.py and torch/_utils.py of PyTorch 2.9.
 */
import { PronkError } from "../../errors.ts";
import { PickleDict, type PickleFunction, PickleGlobal, PickleTuple } from "./pickle-values.ts";

/** Bytes per element by the name of PyTorch's storage classes. */
const STORAGES = {
  FloatStorage: 4,
  HalfStorage: 2,
  BFloat16Storage: 2,
  DoubleStorage: 8,
  LongStorage: 8,
  IntStorage: 4,
  ShortStorage: 2,
  CharStorage: 1,
  ByteStorage: 1,
  BoolStorage: 1,
} as const;

export type StorageType = keyof typeof STORAGES;

/** Names that state dicts pass on but that change nothing here. */
const DTYPES = [
  ..."float32 float float16 half bfloat16 float64 double".split(" "),
  ..."int64 long int32 int int16 short int8 uint8 bool".split(" "),
];

/** Enough for any layer; a hostile file could name thousands. */
const MAX_DIMENSIONS = 8;

/** Elements of one type in a row, kept once for all tensors that look at them. */
export class TorchStorage {
  /** Its name in the file: the same for all views of one storage. */
  readonly key: string;
  readonly type: StorageType;
  /** Of the whole storage. */
  readonly elements: number;
  readonly elementBytes: number;
  /** Where a view (legacy files) starts in it, and how far it reaches. */
  readonly view: readonly [first: number, count: number];

  constructor(
    key: string,
    type: StorageType,
    elements: number,
    view: readonly [number, number] = [0, elements],
  ) {
    this.key = key;
    this.type = type;
    this.elements = elements;
    this.elementBytes = STORAGES[type];
    this.view = view;
  }
}

/** A tensor's place in a storage, checked: every element lies within it. */
export interface TorchTensor {
  readonly storage: TorchStorage;
  /** Of the first element, from the storage's first. */
  readonly offset: number;
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
}

const tensors = new WeakSet<object>();

/** Whether the pickle made it a tensor. */
export function isTorchTensor(value: unknown): value is TorchTensor {
  return typeof value === "object" && value !== null && tensors.has(value);
}

/** The rules of one file; `name` is for messages. */
export function torchGlobals(name: string): {
  globals: ReadonlyMap<string, PickleGlobal>;
  persistent: (id: unknown) => TorchStorage;
  build: (object: unknown, state: unknown) => void;
} {
  const bad = (what: string): PronkError => new PronkError("bad_format", `${name}: ${what}`);
  const refused = (what: string): PronkError =>
    new PronkError("unsupported", `${name}: refused, nothing was run: ${what}`);

  const size = (value: unknown, what: string): number => {
    if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
    throw bad(`${what} is ${typeof value === "number" ? value : typeof value}`);
  };
  const sizes = (value: unknown, what: string): number[] => {
    if (!(value instanceof PickleTuple)) throw bad(`${what} is no tuple`);
    if (value.items.length > MAX_DIMENSIONS) throw bad(`${value.items.length} dimensions`);
    return value.items.map((item) => size(item, what));
  };

  const rebuildTensor: PickleFunction = ([storage, first, shape, stride]) => {
    if (!(storage instanceof TorchStorage)) throw bad("a tensor without a storage");
    const offset = size(first, "a tensor's offset");
    const dims = sizes(shape, "a tensor's size");
    const strides = sizes(stride, "a tensor's stride");
    if (dims.length !== strides.length) throw bad(`a tensor [${dims}] with strides [${strides}]`);
    const end = dims.includes(0)
      ? offset
      : dims.reduce((last, dim, i) => last + (dim - 1) * strides[i]!, offset + 1);
    const [start, count] = storage.view;
    if (end > count) {
      throw bad(
        `a tensor [${dims}] with strides [${strides}] from ${offset}: storage ${storage.key} has ${count}`,
      );
    }
    const tensor: TorchTensor = { storage, offset: start + offset, shape: dims, strides };
    tensors.add(tensor);
    return tensor;
  };

  const functions: Record<string, PickleFunction> = {
    "collections.OrderedDict": (args) => orderedDict(args, bad),
    "torch._utils._rebuild_tensor": rebuildTensor,
    "torch._utils._rebuild_tensor_v2": rebuildTensor,
    "torch._utils._rebuild_parameter": ([data]) => {
      if (isTorchTensor(data)) return data;
      throw bad("a parameter without a tensor");
    },
    // A tuple of sizes; a device and a layout say where a tensor was, which is nothing to us.
    "torch.Size": ([dims]) => new PickleTuple(sizes(dims, "a size")),
    "torch.device": () => null,
    "torch.serialization._get_layout": () => null,
  };
  const globals = new Map<string, PickleGlobal>();
  for (const [global, call] of Object.entries(functions)) {
    globals.set(global, new PickleGlobal(global, call));
  }
  for (const plain of [...Object.keys(STORAGES), ...DTYPES]) {
    globals.set(`torch.${plain}`, new PickleGlobal(`torch.${plain}`));
  }

  return {
    globals,
    persistent(id) {
      const items = id instanceof PickleTuple ? id.items : [];
      const [kind, type, key, , elements, view] = items;
      if (kind !== "storage") {
        throw refused(`persistent id of ${typeof kind === "string" ? `a ${kind}` : "no storage"}`);
      }
      const storageType = type instanceof PickleGlobal ? storageTypeOf(type.name) : undefined;
      if (storageType === undefined) throw bad("a storage without a type");
      if (typeof key !== "string") throw bad("a storage without a key");
      const count = size(elements, `storage ${key}: its length`);
      if (count * STORAGES[storageType] > Number.MAX_SAFE_INTEGER) {
        throw bad(`storage ${key}: ${count} elements`);
      }
      if (!(view instanceof PickleTuple)) return new TorchStorage(key, storageType, count);
      const first = size(view.items[1], `storage ${key}: its view's offset`);
      const length = size(view.items[2], `storage ${key}: its view's length`);
      if (first + length > count) {
        throw bad(`storage ${key}: a view of ${length} from ${first}, it has ${count}`);
      }
      return new TorchStorage(key, storageType, count, [first, length]);
    },
    build(object, state) {
      // `state_dict()._metadata`, versions of modules: nothing that weights need.
      const attributes = state instanceof PickleDict ? [...state.keys()] : ["?"];
      if (object instanceof PickleDict && attributes.every((name) => name === "_metadata")) return;
      throw refused("BUILD sets attributes of what is no state dict");
    },
  };
}

function storageTypeOf(global: string): StorageType | undefined {
  const type = global.replace(/^torch\./, "");
  return Object.hasOwn(STORAGES, type) ? (type as StorageType) : undefined;
}

/** `OrderedDict()`, and Python 2's `OrderedDict([[key, value], ...])`. */
function orderedDict(args: readonly unknown[], bad: (what: string) => PronkError): PickleDict {
  const dict = new PickleDict();
  const [pairs] = args;
  if (pairs === undefined) return dict;
  if (!Array.isArray(pairs)) throw bad("an OrderedDict of what is no list");
  for (const pair of pairs) {
    const [key, value] = Array.isArray(pair)
      ? pair
      : pair instanceof PickleTuple
        ? pair.items
        : [undefined];
    if (typeof key !== "string") throw bad("an OrderedDict with a key that is no string");
    dict.set(key, value);
  }
  return dict;
}
