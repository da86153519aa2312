/**
 * Runs a pickle without running anything: the opcodes that build numbers, strings, tuples, lists and
 * dicts, and a list of globals that the caller allows. Everything else is refused by name.
 *
 * A pickle is a program for a stack machine whose GLOBAL and REDUCE import and call anything. Here a
 * global is a row of the caller's table or an error, and the table's functions only build values.
 * Every opcode takes constant time or time for the bytes and stack items that it consumes.
 */
import { PronkError } from "../../errors.ts";
import { printable } from "../printable.ts";
import { checkNesting } from "./nesting.ts";
import { OP, opName } from "./pickle-ops.ts";
import { PickleDict, PickleGlobal, type PickleKey, PickleTuple } from "./pickle-values.ts";

/** Opcodes of a pickle; Llama 3.1 405B takes 45,000. A dict of one byte takes 300 in memory. */
const MAX_OPERATIONS = 500_000;

/** Python's pickler never has more open tuples, lists and dicts than values nest. */
const MAX_MARKS = 64;

/** Bytes of an integer: the magic number of PyTorch's files has 10. */
const MAX_LONG_BYTES = 16;

/** Bytes of a module's or a global's name. */
const MAX_NAME_BYTES = 256;

/** The highest protocol whose opcodes are known. */
const MAX_PROTOCOL = 5;

export interface PickleRules {
  /** Which pickle it is, for messages. */
  readonly name: string;
  /** By `module.name`. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** What a persistent id stands for. */
  readonly persistent: (id: unknown) => unknown;
  /** BUILD: gives an object its attributes, or refuses. */
  readonly build: (object: unknown, state: unknown) => void;
}

export class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #rules: PickleRules;
  readonly #stack: unknown[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  #at: number;
  #opAt = 0;
  /** The bytes ended before the pickle did: with more of them it may be whole. */
  starved = false;

  constructor(bytes: Uint8Array, rules: PickleRules, start = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#rules = rules;
    this.#at = start;
  }

  /** Offset behind the pickle, once `run` is done. */
  get end(): number {
    return this.#at;
  }

  /**
   * @throws PronkError "unsupported" naming what the pickle asks for; "bad_format".
   */
  run(): unknown {
    for (let count = 0; count < MAX_OPERATIONS; count++) {
      this.#opAt = this.#at;
      const op = this.#u8();
      if (op === OP.STOP) {
        const value = this.#pop();
        if (this.#stack.length > 0) throw this.#bad("STOP with values left");
        checkNesting(value, (what) => this.#bad(what));
        return value;
      }
      this.#step(op);
    }
    throw this.#bad(`more than ${MAX_OPERATIONS} operations`);
  }

  #step(op: number): void {
    switch (op) {
      case OP.PROTO: {
        const protocol = this.#u8();
        if (protocol > MAX_PROTOCOL) throw this.#refused(`protocol ${protocol}`);
        return;
      }
      case OP.FRAME:
        this.#take(8);
        return;
      case OP.MARK:
        if (this.#marks.length === MAX_MARKS) throw this.#bad(`more than ${MAX_MARKS} levels`);
        this.#marks.push(this.#stack.length);
        return;
      case OP.POP:
        this.#pop();
        return;
      case OP.POP_MARK:
        this.#popMark();
        return;
      case OP.BINGET:
        this.#recall(this.#u8());
        return;
      case OP.LONG_BINGET:
        this.#recall(this.#u32());
        return;
      case OP.BINPUT:
        this.#remember(this.#u8());
        return;
      case OP.LONG_BINPUT:
        this.#remember(this.#u32());
        return;
      case OP.MEMOIZE:
        this.#remember(this.#memo.size);
        return;
      case OP.APPEND:
        this.#append([this.#pop()]);
        return;
      case OP.APPENDS:
        this.#append(this.#popMark());
        return;
      case OP.SETITEM:
        this.#setItems(this.#popMany(2));
        return;
      case OP.SETITEMS:
        this.#setItems(this.#popMark());
        return;
      case OP.BUILD: {
        const state = this.#pop();
        this.#rules.build(this.#top(), state);
        return;
      }
      default:
        this.#stack.push(this.#value(op));
    }
  }

  /** The value that an opcode pushes. */
  #value(op: number): unknown {
    switch (op) {
      case OP.NONE:
        return null;
      case OP.NEWTRUE:
        return true;
      case OP.NEWFALSE:
        return false;
      case OP.BININT:
        return this.#view.getInt32(this.#take(4), true);
      case OP.BININT1:
        return this.#u8();
      case OP.BININT2:
        return this.#view.getUint16(this.#take(2), true);
      case OP.LONG1:
        return this.#long(this.#u8());
      case OP.LONG4:
        return this.#long(this.#view.getInt32(this.#take(4), true));
      case OP.BINFLOAT:
        return this.#view.getFloat64(this.#take(8), false);
      case OP.SHORT_BINSTRING:
        return latin1(this.#slice(this.#u8()));
      case OP.BINSTRING:
        return latin1(this.#slice(this.#u32()));
      case OP.SHORT_BINBYTES:
        return this.#slice(this.#u8());
      case OP.BINBYTES:
        return this.#slice(this.#u32());
      case OP.SHORT_BINUNICODE:
        return this.#text(this.#u8());
      case OP.BINUNICODE:
        return this.#text(this.#u32());
      case OP.BINUNICODE8:
        return this.#text(Number(this.#view.getBigUint64(this.#take(8), true)));
      case OP.EMPTY_TUPLE:
        return new PickleTuple([]);
      case OP.TUPLE1:
        return new PickleTuple(this.#popMany(1));
      case OP.TUPLE2:
        return new PickleTuple(this.#popMany(2));
      case OP.TUPLE3:
        return new PickleTuple(this.#popMany(3));
      case OP.TUPLE:
        return new PickleTuple(this.#popMark());
      case OP.EMPTY_LIST:
        return [];
      case OP.LIST:
        return this.#popMark();
      case OP.EMPTY_DICT:
        return new PickleDict();
      case OP.DICT: {
        const items = this.#popMark();
        this.#stack.push(new PickleDict());
        this.#setItems(items);
        return this.#pop();
      }
      case OP.GLOBAL:
        return this.#global(this.#line(), this.#line());
      case OP.STACK_GLOBAL: {
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string") {
          throw this.#bad("STACK_GLOBAL without names");
        }
        return this.#global(module, name);
      }
      case OP.BINPERSID:
        return this.#rules.persistent(this.#pop());
      case OP.REDUCE:
        return this.#reduce();
      case OP.INST:
        throw this.#refused(`INST makes an object of ${this.#line()}.${this.#line()}`);
      case OP.OBJ:
        throw this.#refused(`OBJ makes an object of ${nameOf(this.#popMark()[0])}`);
      case OP.NEWOBJ:
        throw this.#refused(`NEWOBJ makes an object of ${nameOf(this.#popMany(2)[0])}`);
      case OP.NEWOBJ_EX:
        throw this.#refused(`NEWOBJ_EX makes an object of ${nameOf(this.#popMany(3)[0])}`);
      default:
        throw this.#refused(opName(op));
    }
  }

  #global(module: string, name: string): PickleGlobal {
    const global = this.#rules.globals.get(`${module}.${name}`);
    if (global !== undefined) return global;
    throw this.#refused(`asks for ${module}.${name}, which no state dict needs`);
  }

  #reduce(): unknown {
    const [callable, args] = this.#popMany(2);
    if (!(callable instanceof PickleGlobal) || callable.call === undefined) {
      throw this.#refused(`calls ${nameOf(callable)}`);
    }
    if (!(args instanceof PickleTuple)) throw this.#bad("REDUCE without arguments");
    return callable.call(args.items);
  }

  #append(items: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#bad("APPEND to what is no list");
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly unknown[]): void {
    const dict = this.#top();
    if (!(dict instanceof PickleDict)) throw this.#bad("SETITEM on what is no dict");
    if (items.length % 2 !== 0) throw this.#bad("a key without a value");
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (!isKey(key)) throw this.#refused(`a dict's key is ${nameOf(key)}`);
      dict.set(key, items[i + 1]);
    }
  }

  #remember(index: number): void {
    this.#memo.set(index, this.#top());
  }

  #recall(index: number): void {
    if (!this.#memo.has(index)) throw this.#bad(`memo ${index} is not set`);
    this.#stack.push(this.#memo.get(index));
  }

  #long(bytes: number): number | bigint {
    if (bytes < 0 || bytes > MAX_LONG_BYTES) throw this.#bad(`an integer of ${bytes} bytes`);
    let value = 0n;
    const slice = this.#slice(bytes);
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(slice[i]!);
    value = BigInt.asIntN(8 * bytes, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  /** A line of text, without its end. */
  #line(): string {
    const end = this.#bytes.subarray(this.#at, this.#at + MAX_NAME_BYTES).indexOf(0x0a);
    if (end < 0) {
      this.starved = this.#bytes.length - this.#at < MAX_NAME_BYTES;
      throw this.#bad("a name without an end");
    }
    const text = this.#text(end);
    this.#at++;
    return text;
  }

  #text(bytes: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#slice(bytes));
    } catch (cause) {
      if (cause instanceof PronkError) throw cause;
      throw this.#bad("a string that is not UTF-8");
    }
  }

  #slice(bytes: number): Uint8Array {
    const at = this.#take(bytes);
    return this.#bytes.subarray(at, at + bytes);
  }

  #u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#bytes.length - at) {
      this.starved = true;
      throw this.#bad(`ends within ${bytes} bytes from ${at}, it has ${this.#bytes.length}`);
    }
    this.#at += bytes;
    return at;
  }

  /** Where the values of the open tuple, list or dict begin: none below may be taken. */
  get #floor(): number {
    return this.#marks.at(-1) ?? 0;
  }

  #top(): unknown {
    if (this.#stack.length <= this.#floor) throw this.#bad("the stack is empty");
    return this.#stack.at(-1);
  }

  #pop(): unknown {
    const value = this.#top();
    this.#stack.length--;
    return value;
  }

  #popMany(count: number): unknown[] {
    if (this.#stack.length - count < this.#floor) throw this.#bad("the stack is empty");
    return this.#stack.splice(this.#stack.length - count, count);
  }

  #popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#bad("no MARK");
    return this.#stack.splice(mark);
  }

  #bad(what: string): PronkError {
    return new PronkError("bad_format", `${this.#rules.name}: byte ${this.#opAt}: ${what}`);
  }

  #refused(what: string): PronkError {
    const place = `${this.#rules.name}: byte ${this.#opAt}`;
    return new PronkError("unsupported", `${place}: refused, nothing was run: ${printable(what)}`);
  }
}

function latin1(bytes: Uint8Array): string {
  // Python 2's strings; the Web's "latin1" decoder is windows-1252, so by hand.
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function isKey(value: unknown): value is PickleKey {
  return value === null || ["string", "number", "bigint", "boolean"].includes(typeof value);
}

/** What a value is, for messages. */
function nameOf(value: unknown): string {
  if (value instanceof PickleGlobal) return value.name;
  if (value instanceof PickleTuple) return "a tuple";
  if (value instanceof PickleDict) return "a dict";
  if (Array.isArray(value)) return "a list";
  return value === null ? "None" : `a value of type ${typeof value}`;
}
