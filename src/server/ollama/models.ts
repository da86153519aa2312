/** What Ollama's API says of models. What an engine does not know of its own is "". */
import type { Engine } from "../../engine/engine.ts";
import { noSuchModel } from "../adapters.ts";
import { ANYBODY, type Caller, mayUse } from "../auth.ts";
import { mayNotUse } from "../metered-engine.ts";
import { timeOf } from "./answer.ts";
import { modelOf } from "./request.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The model, then its adapters, as far as the caller may use them. */
export function listModels(engine: Engine, caller: Caller): Fields[] {
  const { info, adapters } = engine;
  const names = [info.id, ...adapters.map(({ name }) => name)];
  return names.filter((name) => mayUse(caller, name)).map((name) => describe(engine, name));
}

function describe({ info, adapters }: Engine, name: string): Fields {
  const adapter = adapters.find((one) => one.name === name);
  return {
    name,
    model: name,
    modified_at: timeOf(info.created * 1000),
    size: info.memory.weights,
    digest: adapter?.fingerprint ?? info.fingerprint,
    details: detailsOf(adapter === undefined ? "" : info.id),
  };
}

const detailsOf = (parent_model: string): Fields => ({
  parent_model,
  format: "pronk",
  family: "llama",
  families: ["llama"],
  parameter_size: "",
  quantization_level: "",
});

/** @throws RequestError "model_not_found", "permission_denied" */
export function showModel(engine: Engine, asked: string, caller: Caller): Fields {
  const name = modelOf(engine, asked);
  const found = listModels(engine, ANYBODY).find((one) => one.name === name);
  if (found === undefined) throw noSuchModel(engine, asked);
  if (!mayUse(caller, name)) throw mayNotUse(name);
  const { info, template } = engine;
  return {
    modelfile: `FROM ${info.id}\n`,
    parameters: "",
    template: template?.source ?? "",
    details: found.details,
    model_info: {
      "general.architecture": "llama",
      "llama.context_length": info.ctx,
      "llama.vocab_size": info.vocab,
    },
    capabilities: ["completion", ...(template === undefined ? [] : ["tools"]), "embedding"],
    modified_at: found.modified_at,
  };
}
