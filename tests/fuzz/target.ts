/** What a fuzzing target says of itself; each file in targets/ exports one as `target`. */
import type { Layout } from "./layout.ts";
import type { Random } from "./random.ts";

/** Told by a target how far an input came. */
export interface Probe {
  /** The input got past the first header check: counted, at least 30 % of all have to. */
  pastHeader(): void;
  /** Of an input that shows something for the first time a copy is kept and edited further. */
  saw(feature: string | number): void;
}

/** Text of the sources that is replaced when a target is bundled for the self-test. */
export interface PlantedFault {
  /** For the report: "no bound on a string's length". */
  readonly name: string;
  /** From the root: src/formats/gguf/metadata.ts. */
  readonly file: string;
  /** Occurs there exactly once, else the self-test fails. */
  readonly find: string;
  readonly replace: string;
}

/** A further edit that only this target can make; the layout is that of `input`. */
export type Edit = (input: Uint8Array, random: Random, layout: Layout) => Uint8Array;

export interface FuzzTarget {
  /** Valid inputs of at most a few KB: speed is what finds faults. The first run shows that they pass. */
  readonly seeds: () => Promise<readonly Uint8Array[]> | readonly Uint8Array[];
  /** Where the fields of an input lie that may be broken: what cannot be read any more is left out. */
  readonly layout: (input: Uint8Array) => Layout;
  /** Texts with a meaning in the format: keys, names of types. */
  readonly words?: readonly string[];
  readonly edits?: readonly Edit[];
  /** Mends what would stop every edited input at the door: checksums, offsets. */
  readonly finish?: (input: Uint8Array, random: Random) => Uint8Array;
  /** Uses the input as a user would; throws only documented errors. */
  readonly run: (input: Uint8Array, probe: Probe) => Promise<void> | void;
  /** Whether an error is documented. Default: PronkError. */
  readonly isDocumented?: (error: unknown) => boolean;
  /** What a message has to match. Default: "where: what". */
  readonly message?: RegExp;
  /** Bytes of an edited input at most. Default 64 KiB. */
  readonly maxBytes?: number;
  /** Bytes that one input may allocate. Default max(64 MiB, 16 times the input). */
  readonly planBytes?: (input: Uint8Array) => number;
  readonly planted: PlantedFault;
}
