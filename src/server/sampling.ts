/** A request's shared fields as the engine takes them. */
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import { bitsAt, toSeed } from "../generate/random.ts";
import type { GenerateRequest } from "../generate/request.ts";
import type { Limits } from "./context.ts";
import { outputFormat } from "./output-format.ts";
import type { SamplingFields } from "./schemas/sampling.ts";

/** Everything of a generation but its prompt. */
export type Sampling = Omit<GenerateRequest, "prompt_ids">;

/**
 * @param maxTokens what the route read as the limit; undefined: the rest of the context.
 * @throws PronkError "bad_request" when a value is beyond the server's limits or the vocabulary.
 */
export function toSampling(
  fields: SamplingFields,
  maxTokens: { readonly value: number | undefined; readonly param: string },
  topLogprobs: number | undefined,
  engine: Pick<Engine, "info" | "checkGrammar">,
  limits: Limits,
): Sampling {
  if (maxTokens.value !== undefined && maxTokens.value > limits.maxTokens) {
    const { value, param } = maxTokens;
    throw new PronkError(
      "bad_request",
      `${param}: at most ${limits.maxTokens} on this server, got ${value}`,
      { param },
    );
  }
  const stop = [fields.stop ?? []].flat().filter((text) => text !== "");
  return withoutUndefined({
    temperature: fields.temperature ?? undefined,
    top_p: fields.top_p ?? undefined,
    top_k: fields.top_k == null ? undefined : Math.max(0, fields.top_k),
    min_p: fields.min_p ?? undefined,
    typical_p: fields.typical_p ?? undefined,
    repetition_penalty: fields.repetition_penalty ?? undefined,
    frequency_penalty: fields.frequency_penalty ?? undefined,
    presence_penalty: fields.presence_penalty ?? undefined,
    logit_bias:
      fields.logit_bias == null ? undefined : biases(fields.logit_bias, engine.info.vocab),
    seed: fields.seed ?? undefined,
    max_tokens:
      maxTokens.value ?? (Number.isFinite(limits.maxTokens) ? limits.maxTokens : undefined),
    stop: stop.length === 0 ? undefined : stop,
    max_time_ms: fields.max_time == null ? undefined : fields.max_time * 1000,
    ignore_eos: fields.ignore_eos ?? undefined,
    top_logprobs: topLogprobs,
    grammar: outputFormat(fields, engine),
  });
}

/** The seed of the k-th choice; the first has the request's own, as if it were alone. */
export function choiceSeed(seed: number, k: number): number {
  return k === 0 ? seed : Number(bitsAt(toSeed(seed), k) >> 11n); // 53 bits: exact as a number
}

function biases(fields: Readonly<Record<string, number>>, vocab: number): Map<number, number> {
  const map = new Map<number, number>();
  for (const [key, bias] of Object.entries(fields)) {
    if (!/^\d{1,10}$/.test(key) || Number(key) >= vocab) {
      const param = "logit_bias";
      const named = key.length > 40 ? `${key.slice(0, 40)}…` : key;
      throw new PronkError(
        "bad_request",
        `${param}: expected token ids below ${vocab} as keys, got ${JSON.stringify(named)}`,
        { param },
      );
    }
    map.set(Number(key), bias);
  }
  return map;
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}
