/** PEFT's way to put an adapter on a model: the model itself is what one gets. */
import type { LoraAdapter } from "../../adapters/lora-adapter.ts";
import type { SourceFolder } from "../../sources/source.ts";
import type { LoadAdapterOptions } from "./open-adapter.ts";

/** What an adapter is put on. */
interface AdaptedModel {
  loadAdapter(
    source: string | SourceFolder | LoraAdapter,
    options?: LoadAdapterOptions,
  ): Promise<void>;
}

export const PeftModel: {
  /**
   * `PeftModel.from_pretrained`: loads the adapter onto the model, which has all that PeftModel has, and gives it back.
   *
   * @throws PronkError as `loadAdapter`.
   */
  fromPretrained<Model extends AdaptedModel>(
    model: Model,
    source: string | SourceFolder | LoraAdapter,
    options?: LoadAdapterOptions,
  ): Promise<Model>;
} = {
  async fromPretrained(model, source, options) {
    await model.loadAdapter(source, options);
    return model;
  },
};
