/**
 * Which adapters a request gets: those that its model's name stands for, as of vLLM's server; or those of
 * its `lora` field, as of llama.cpp's; else the engine's default.
 */
import type { Engine } from "../engine/engine.ts";
import { PronkError } from "../errors.ts";
import type { AdapterChoice } from "../generate/request.ts";
import { RequestError } from "./errors.ts";
import { mayBeTold } from "./metered-engine.ts";
import type { LoraScale } from "./schemas/lora.ts";

/** What an answer is of. */
export interface ServedModel {
  /** The base model's id, or an adapter's name: as the request has it. */
  readonly model: string;
  /** All of them, so that every choice of a request has the same, whoever sets defaults meanwhile. */
  readonly adapters: readonly AdapterChoice[];
}

/**
 * @throws RequestError "model_not_found" unless `model` is the model or an adapter; PronkError
 *   "not_found" for an id of `lora`; "bad_request" where both name adapters.
 */
export function selectModel(
  engine: Engine,
  model: string,
  lora: readonly LoraScale[] | null | undefined,
): ServedModel {
  const isBase = model === engine.info.id;
  const named = engine.adapters.find(({ name }) => name === model);
  if (!isBase && named === undefined) throw noSuchModel(engine, model);
  if (lora != null) {
    if (isBase) return { model, adapters: chooseByIds(engine, lora, "lora") };
    throw new PronkError("bad_request", `lora: not with an adapter as the model, ${model} is one`, {
      param: "lora",
    });
  }
  if (named !== undefined) return { model, adapters: [{ name: model }] };
  const adapters = engine.adapters.map(({ name, default_scale }) => ({
    name,
    scale: default_scale,
  }));
  return { model, adapters };
}

/** @throws PronkError "not_found" naming what there is; "bad_request" on an id that is given twice. */
export function chooseByIds(
  engine: Engine,
  scales: readonly LoraScale[],
  param: string,
): AdapterChoice[] {
  return scales.map(({ id, scale }, index) => {
    const at = `${param}[${index}].id`;
    if (scales.findIndex((one) => one.id === id) < index) {
      throw new PronkError("bad_request", `${at}: adapter ${id} is given twice`, { param: at });
    }
    const adapter = engine.adapters.find((one) => one.id === id);
    if (adapter !== undefined) return { name: adapter.name, scale };
    const told = engine.adapters.filter(({ name }) => mayBeTold(engine, name));
    const present = told.map((one) => `${one.id} (${one.name})`).join(", ");
    throw new PronkError(
      "not_found",
      `${at}: no adapter ${id} is loaded; ${present || "there is none"}`,
      { param: at },
    );
  });
}

/** The model's, and behind it those of the adapters that take part, with their scales. */
export function fingerprintOf(engine: Engine, choices: readonly AdapterChoice[]): string {
  const scales = new Map(choices.map(({ name, scale }) => [name, scale]));
  const parts = engine.adapters.flatMap(({ name, scale, fingerprint }) => {
    const applied = scales.has(name) ? (scales.get(name) ?? scale) : 0;
    return applied === 0 ? [] : [`+${fingerprint}*${applied}`];
  });
  return `${engine.info.fingerprint}${parts.join("")}`;
}

/** A 404 that says what is served. */
export function noSuchModel(engine: Engine, id: string): RequestError {
  const shown = id.length > 80 ? `${id.slice(0, 80)}…` : id;
  const all = [engine.info.id, ...engine.adapters.map(({ name }) => name)];
  const served = all.filter((name) => mayBeTold(engine, name));
  const names = served.map((name) => JSON.stringify(name)).join(", ");
  return new RequestError(
    "model_not_found",
    `model: ${JSON.stringify(shown)} is not served here, ${names || "nothing"} ${served.length > 1 ? "are" : "is"}`,
    { param: "model" },
  );
}
