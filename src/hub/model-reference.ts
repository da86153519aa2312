/**
 * What users write where a model is wanted: a known name, `hf:OWNER/REPO[@REVISION][:FILE]`,
 * a URL, or a path.
 */
import { PronkError } from "../errors.ts";
import { type KnownModel, knownModel } from "./known-models.ts";

export type ModelReference =
  | { readonly kind: "known"; readonly model: KnownModel }
  | {
      readonly kind: "hub";
      readonly repo: string;
      readonly revision: string;
      /** A file of the repository, a quantization (`Q4_1`), or undefined for its only GGUF. */
      readonly choice: string | undefined;
    }
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "path"; readonly path: string };

/** OWNER/REPO, then @REVISION, then :FILE; the hub's own characters only, so no `..` gets through. */
const HUB = /^hf:([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w-][\w.-]*(?:\/[\w-][\w.-]*)*))?(?::(.+))?$/;

/** No empty, `.` or `..` parts. */
const FILE = /^(?!\.{1,2}(?:\/|$))[^/\\]+(?:\/(?!\.{1,2}(?:\/|$))[^/\\]+)*$/;

/** Whether a name is one of a file inside a repository, and leads nowhere else. */
export function isRepositoryPath(name: string): boolean {
  return FILE.test(name);
}

/** @throws PronkError "bad_request" on a malformed hf: reference; "unsupported" on s3:. */
export function parseModelReference(text: string): ModelReference {
  if (text === "") throw new PronkError("bad_request", "model: empty name");
  if (text.startsWith("hf:")) {
    const [, repo, revision = "main", choice] = HUB.exec(text) ?? [];
    if (!repo || (choice !== undefined && !FILE.test(choice))) {
      throw new PronkError(
        "bad_request",
        `model ${text}: not of the form hf:OWNER/REPO[@REVISION][:FILE]`,
      );
    }
    return { kind: "hub", repo, revision, choice };
  }
  if (/^https?:\/\//.test(text)) return { kind: "url", url: text };
  if (text.startsWith("s3://")) {
    throw new PronkError(
      "unsupported",
      `model ${text}: s3:// cannot be read here; it names packs, for serve, run and inspect`,
    );
  }
  const model = knownModel(text);
  return model ? { kind: "known", model } : { kind: "path", path: text };
}
