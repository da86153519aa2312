/** What pickles build beside numbers, strings, bytes and lists, which are those of JavaScript. */

export class PickleTuple {
  readonly items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

export type PickleKey = string | number | bigint | boolean | null;

/** A dict or an OrderedDict. */
export class PickleDict extends Map<PickleKey, unknown> {}

/** Bounded and without an effect beside its result. @throws PronkError on wrong arguments. */
export type PickleFunction = (args: readonly unknown[]) => unknown;

/** An allowed global. Without `call` it is a name that may be passed on, not called. */
export class PickleGlobal {
  /** `module.name` */
  readonly name: string;
  readonly call: PickleFunction | undefined;

  constructor(name: string, call?: PickleFunction) {
    this.name = name;
    this.call = call;
  }
}
