/** --lora [NAME=]PATH[:SCALE], as often as there are adapters. */
import type { EngineAdapters } from "../engine/load-adapters.ts";
import { flagOption, textsOption, UsageError } from "./arguments.ts";
import type { Arguments, OptionSpecs } from "./command.ts";

export const LORA_OPTION: OptionSpecs = {
  lora: {
    type: "string",
    value: "[NAME=]PATH[:SCALE]",
    help: "a LoRA adapter: a PEFT folder, hf:OWNER/REPO or a URL; may be given again",
    multiple: true,
    group: "Adapters",
  },
};

/** Of commands that answer several people. */
export const LORA_SERVE_OPTIONS: OptionSpecs = {
  ...LORA_OPTION,
  "lora-init-without-apply": {
    type: "boolean",
    group: "Adapters",
    help: "only requests that ask for an adapter get it; default: all are applied",
  },
  "allow-lora-loading": {
    type: "boolean",
    group: "Adapters",
    help: "requests may load adapters from paths and URLs that they name",
  },
};

export interface LoraOption {
  readonly name: string;
  readonly source: string;
  readonly scale: number;
}

const FORM = /^(?:(?<name>\w[\w.@+-]*)=)?(?<source>.+?)(?::(?<scale>[+-]?(?:\d+\.?\d*|\.\d+)))?$/;

/** Of commands that write a model. */
export const LORA_MERGE_OPTION: OptionSpecs = {
  lora: { ...LORA_OPTION.lora!, help: "merge a LoRA adapter into the weights; may be given again" },
};

/** In the order they are given in. @throws UsageError on no path, or two of one name. */
export function loraOptions(input: Arguments): LoraOption[] {
  const found = textsOption(input, "lora").map((text) => {
    const { name, source = "", scale = "1" } = FORM.exec(text)?.groups ?? {};
    const own = name ?? lastPart(source);
    if (own === "") throw new UsageError(`--lora ${text}: not of the form [NAME=]PATH[:SCALE]`);
    return { name: own, source, scale: Number(scale) };
  });
  const names = found.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new UsageError(`--lora: two adapters called ${twice}; NAME=PATH gives one another name`);
  }
  return found;
}

/** What an engine takes. @throws UsageError */
export function adapterOptions(input: Arguments): EngineAdapters {
  const adapters = loraOptions(input).map(({ name, source, scale }) => [name, { source, scale }]);
  return {
    adapters: Object.fromEntries(adapters),
    applyAdapters: !flagOption(input, "lora-init-without-apply"),
  };
}

/** `sql` of `./adapters/sql/`, `hf:someone/sql@main` and `https://host/sql?x`. */
function lastPart(source: string): string {
  const path = source.replace(/[?#].*$/, "").replace(/[/\\]+$/, "");
  const part = path.split(/[/\\]/).at(-1) ?? "";
  return part
    .replace(/@.*$/, "")
    .replace(/[^\w.+-]/g, "-")
    .replace(/^[^\w]+/, "");
}
