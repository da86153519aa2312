/**
 * Typed arrays that count what is asked for by number, under the names of the real ones: esbuild puts them in
 * their place. What is copied (slice, encode) is not counted: it is as large as what it copies.
 */
import { allocations } from "./outcome.ts";

// biome-ignore lint/suspicious/noExplicitAny: constructors of every signature
function counted<T extends new (...args: any[]) => object>(real: T, elementBytes: number): T {
  return new Proxy(real, {
    construct(target, args, newTarget) {
      if (typeof args[0] === "number") allocations.bytes += args[0] * elementBytes;
      return Reflect.construct(target, args, newTarget);
    },
  });
}

const real: typeof globalThis = globalThis;
const _Uint8Array: typeof real.Uint8Array = counted(real.Uint8Array, 1);
const _Int8Array: typeof real.Int8Array = counted(real.Int8Array, 1);
const _Uint16Array: typeof real.Uint16Array = counted(real.Uint16Array, 2);
const _Int16Array: typeof real.Int16Array = counted(real.Int16Array, 2);
const _Uint32Array: typeof real.Uint32Array = counted(real.Uint32Array, 4);
const _Int32Array: typeof real.Int32Array = counted(real.Int32Array, 4);
const _Float32Array: typeof real.Float32Array = counted(real.Float32Array, 4);
const _Float64Array: typeof real.Float64Array = counted(real.Float64Array, 8);
const _BigUint64Array: typeof real.BigUint64Array = counted(real.BigUint64Array, 8);
const _BigInt64Array: typeof real.BigInt64Array = counted(real.BigInt64Array, 8);
const _ArrayBuffer: typeof real.ArrayBuffer = counted(real.ArrayBuffer, 1);

export {
  _ArrayBuffer as ArrayBuffer,
  _BigInt64Array as BigInt64Array,
  _BigUint64Array as BigUint64Array,
  _Float32Array as Float32Array,
  _Float64Array as Float64Array,
  _Int8Array as Int8Array,
  _Int16Array as Int16Array,
  _Int32Array as Int32Array,
  _Uint8Array as Uint8Array,
  _Uint16Array as Uint16Array,
  _Uint32Array as Uint32Array,
};
