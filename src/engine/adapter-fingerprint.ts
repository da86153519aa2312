/** What of an adapter decides the output, as one short hash: taken while the runner reads it, not by reading it twice. */
import type { LoraAdapter } from "../adapters/lora-adapter.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { sha256 } from "../pack/digest.ts";

/** Hex digits: 64 bits. */
const FINGERPRINT_LENGTH = 16;

export interface FingerprintedAdapter {
  /** The same, and every row that is read of it counts. */
  readonly adapter: LoraAdapter;
  /** Of the rows that were read, in whatever order, by the same backend the same. */
  fingerprint(): Promise<string>;
}

export function withFingerprint(adapter: LoraAdapter): FingerprintedAdapter {
  const pieces: string[] = [];
  const counted = (tensor: FloatTensor): FloatTensor => ({
    ...tensor,
    async readRows(first, count, into, signal): Promise<void> {
      await tensor.readRows(first, count, into, signal);
      pieces.push(`${tensor.name} ${first} ${await sha256(into)}`);
    },
  });
  const modules = [...adapter.modules].map(
    ([name, { a, b, bias, ...rest }]) =>
      [
        name,
        { ...rest, a: counted(a), b: counted(b), ...(bias && { bias: counted(bias) }) },
      ] as const,
  );
  const replaced = [...adapter.replaced].map(([name, tensor]) => [name, counted(tensor)] as const);
  const facts = modules.map(([name, { rank, scaling }]) => [name, rank, scaling]);
  return {
    adapter: { ...adapter, modules: new Map(modules), replaced: new Map(replaced) },
    async fingerprint(): Promise<string> {
      const all = JSON.stringify([facts, pieces.sort()]);
      return (await sha256(new TextEncoder().encode(all))).slice(0, FINGERPRINT_LENGTH);
    },
  };
}
