/** What a request asks for beside its messages: as fields of the page, and as the API's. */
import type { LlmRequest } from "../engine.ts";

export interface Settings {
  readonly system: string;
  /** Of the model or an adapter; "": the model. */
  readonly model: string;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  /** Texts, since an empty field is none: whole numbers. */
  readonly seed: string;
  readonly maxTokens: string;
  /** A text a line. */
  readonly stop: string;
  /** Whether each token's probability is asked for. */
  readonly logprobs: boolean;
}

/** A number that a slider sets. */
export interface Slider {
  readonly name: "temperature" | "topP" | "topK" | "minP" | "repetitionPenalty";
  readonly field: string;
  readonly label: string;
  /** What it does, in a line. */
  readonly help: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** The value at which it does nothing. */
  readonly off: number;
}

export const SLIDERS: readonly Slider[] = [
  {
    name: "temperature",
    field: "temperature",
    label: "Temperature",
    help: "How freely tokens are chosen. At 0 it is always the likeliest: the same answer every time.",
    min: 0,
    max: 2,
    step: 0.05,
    off: 1,
  },
  {
    name: "topP",
    field: "top_p",
    label: "Top P",
    help: "Only the likeliest tokens that together have this probability. 1: all.",
    min: 0,
    max: 1,
    step: 0.01,
    off: 1,
  },
  {
    name: "topK",
    field: "top_k",
    label: "Top K",
    help: "Only this many of the likeliest tokens. 0: all.",
    min: 0,
    max: 200,
    step: 1,
    off: 0,
  },
  {
    name: "minP",
    field: "min_p",
    label: "Min P",
    help: "Only tokens that are at least this likely, compared with the likeliest. 0: all.",
    min: 0,
    max: 1,
    step: 0.01,
    off: 0,
  },
  {
    name: "repetitionPenalty",
    field: "repetition_penalty",
    label: "Repetition penalty",
    help: "Above 1, tokens that are already in the text become less likely. 1: off.",
    min: 0.5,
    max: 2,
    step: 0.01,
    off: 1,
  },
];

/**
 * As the model card of SmolLM2-Instruct runs it: small models wander when they are hotter. The penalty ends the
 * loops that they fall into, the bound those that it does not end.
 */
export const DEFAULT_SETTINGS: Settings = {
  system: "",
  model: "",
  temperature: 0.2,
  topP: 0.9,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1.1,
  seed: "",
  maxTokens: "512",
  stop: "",
  logprobs: false,
};

/** Shown beside each token. */
const ALTERNATIVES = 5;

/** What is wrong with a field that takes text; undefined: nothing. */
export function wrongSetting(settings: Settings, name: "seed" | "maxTokens"): string | undefined {
  const text = settings[name].trim();
  if (text === "") return undefined;
  if (name === "seed") return /^-?\d{1,15}$/.test(text) ? undefined : "A whole number, or nothing";
  return /^[1-9]\d{0,6}$/.test(text) ? undefined : "A whole number from 1 on, or nothing";
}

/** The API's fields; what does nothing, or is wrong, is left out. */
export function requestFields(settings: Settings): Omit<LlmRequest, "messages" | "prompt"> {
  const sampling = SLIDERS.filter(({ name, off }) => settings[name] !== off);
  const whole = (name: "seed" | "maxTokens"): number | undefined =>
    settings[name].trim() === "" || wrongSetting(settings, name)
      ? undefined
      : Number(settings[name]);
  const seed = whole("seed");
  const max_tokens = whole("maxTokens");
  const stop = settings.stop.split("\n").filter((text) => text !== "");
  return {
    ...(settings.model !== "" && { model: settings.model }),
    ...Object.fromEntries(sampling.map(({ name, field }) => [field, settings[name]])),
    ...(seed !== undefined && { seed }),
    ...(max_tokens !== undefined && { max_tokens }),
    ...(stop.length > 0 && { stop }),
    ...(settings.logprobs && { logprobs: true, top_logprobs: ALTERNATIVES }),
  };
}

/** What was stored, as far as it is of the kinds and in the ranges of today. */
export function parseSettings(stored: unknown): Settings | undefined {
  if (typeof stored !== "object" || stored === null) return undefined;
  const settings: Record<string, unknown> = { ...DEFAULT_SETTINGS };
  for (const [name, standard] of Object.entries(DEFAULT_SETTINGS)) {
    const value = (stored as Record<string, unknown>)[name];
    const slider = SLIDERS.find((one) => one.name === name);
    const isInRange =
      slider === undefined || (Number(value) >= slider.min && Number(value) <= slider.max);
    if (typeof value === typeof standard && isInRange) settings[name] = value;
  }
  return settings as unknown as Settings;
}
