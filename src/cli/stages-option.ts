/** --stages: how many memories of this process, or where the stages of a model are. */
import { MAX_STAGES } from "../stages/stage-plan.ts";
import { integerOption, textOption, UsageError } from "./arguments.ts";
import type { Arguments, OptionSpecs } from "./command.ts";

export const STAGES_OPTION: OptionSpecs = {
  stages: {
    type: "string",
    value: "N|URLS",
    help: "memories to divide the model among, as 3.5 GiB each ask for; or ws://HOST:PORT,...: pronk stage",
    group: "Weights and memory",
  },
};

/** @throws UsageError */
export function stageCount(input: Arguments): number | undefined {
  return stageUrls(input) ? undefined : integerOption(input, "stages", 1, MAX_STAGES);
}

/** Addresses of stages on other hosts. @throws UsageError */
export function stageUrls(input: Arguments): readonly string[] | undefined {
  const text = textOption(input, "stages");
  if (text === undefined || !text.includes(":")) return undefined;
  const urls = text.split(",");
  for (const url of urls) {
    if (!/^wss?:$/.test(URL.canParse(url) ? new URL(url).protocol : "")) {
      throw new UsageError(`--stages: ${url} is no ws:// or wss:// address`);
    }
  }
  if (urls.length > MAX_STAGES) throw new UsageError(`--stages: at most ${MAX_STAGES}`);
  return urls;
}
