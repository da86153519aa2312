/** Something for each of a plan's buffers. */
import type { BufferName } from "../../model/plan.ts";

const BUFFER_NAMES: readonly BufferName[] = ["x", "h", "qkv", "att", "gateUp", "ffn", "logits"];

export function byName<Value>(make: (name: BufferName) => Value): Record<BufferName, Value> {
  const entries = BUFFER_NAMES.map((name) => [name, make(name)] as const);
  return Object.fromEntries(entries) as Record<BufferName, Value>;
}
