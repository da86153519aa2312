/** One stage as a configuration writes it: which part of the model, and the sizes that all stages have in common. */
import { PronkError } from "../errors.ts";
import type { Range, StagePart } from "./stage-part.ts";
import type { PlannedStage, StageOptions } from "./stage-plan.ts";

/** JSON; ranges are [from, to). */
export interface StageSpec extends StageOptions {
  readonly embedding: readonly [number, number];
  readonly layers: readonly [number, number];
  readonly head: readonly [number, number];
}

export function stageSpec({ part }: PlannedStage, options: StageOptions): StageSpec {
  const { ctx, slots, maxRows, maxLogits, kv } = options;
  const pair = ({ from, to }: Range): [number, number] => [from, to];
  const { embedding, layers, head } = part;
  const parts = { embedding: pair(embedding), layers: pair(layers), head: pair(head) };
  return { ...parts, ctx, slots, maxRows, maxLogits, kv };
}

/** A KV cache's context comes in tiles of 8; nothing that a stage has is larger than this. */
const MOST = 2 ** 24;

/**
 * @param value the object, or its JSON.
 * @throws PronkError "bad_request" naming the field.
 */
export function parseStageSpec(value: unknown): { part: StagePart; sizes: StageOptions } {
  let spec = value;
  if (typeof value === "string") {
    try {
      spec = JSON.parse(value);
    } catch (cause) {
      throw new PronkError("bad_request", "stage: its configuration is no JSON", { cause });
    }
  }
  if (typeof spec !== "object" || spec === null) {
    throw new PronkError("bad_request", "stage: there is no configuration");
  }
  const fields = spec as Record<string, unknown>;
  const bad = (name: string): PronkError => {
    const found = JSON.stringify(fields[name])?.slice(0, 40);
    return new PronkError("bad_request", `stage: ${name} is ${found}`);
  };
  const isCount = (one: unknown): one is number =>
    Number.isInteger(one) && (one as number) >= 0 && (one as number) <= MOST;
  const range = (name: string): Range => {
    const pair = fields[name];
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every(isCount)) throw bad(name);
    return { from: pair[0], to: pair[1] };
  };
  const size = (name: string): number => {
    const found = fields[name];
    if (!isCount(found) || found < 1) throw bad(name);
    return found;
  };
  const { kv } = fields;
  if (kv !== "int16" && kv !== "int8" && kv !== "bf16" && kv !== "f32") throw bad("kv");
  return {
    part: { embedding: range("embedding"), layers: range("layers"), head: range("head") },
    sizes: {
      ctx: size("ctx"),
      slots: size("slots"),
      maxRows: size("maxRows"),
      maxLogits: size("maxLogits"),
      kv,
    },
  };
}
