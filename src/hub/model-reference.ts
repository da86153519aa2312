/**
 * What users write where a model is wanted: a known name, `hf:OWNER/REPO[@REVISION][:FILE]`,
 * `https://…[#sha256=HEX]`, or a path.
 */
import { PronkError } from "../errors.ts";
import { type KnownModel, knownModel } from "./known-models.ts";
import { shownUrl } from "./remote.ts";

export type ModelReference =
  | { readonly kind: "known"; readonly model: KnownModel }
  | {
      readonly kind: "hub";
      readonly repo: string;
      readonly revision: string;
      /** A file of the repository, a quantization (`Q4_1`), or undefined for its only GGUF. */
      readonly choice: string | undefined;
    }
  | {
      readonly kind: "url";
      /** Without what follows `#`. */
      readonly url: string;
      /** What its bytes have to be, in lower-case hex. */
      readonly sha256: string | undefined;
    }
  | { readonly kind: "path"; readonly path: string };

/** OWNER/REPO, then @REVISION, then :FILE; the hub's own characters only, so no `..` gets through. */
const HUB = /^hf:([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([\w-][\w.-]*(?:\/[\w-][\w.-]*)*))?(?::(.+))?$/;

/** No empty, `.` or `..` parts. */
const FILE = /^(?!\.{1,2}(?:\/|$))[^/\\]+(?:\/(?!\.{1,2}(?:\/|$))[^/\\]+)*$/;

/** Whether a name is one of a file inside a repository, and leads nowhere else. */
export function isRepositoryPath(name: string): boolean {
  return FILE.test(name);
}

/** @throws PronkError "bad_request" on a malformed hf: reference or URL; "unsupported" on s3:. */
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
  if (/^https?:\/\//.test(text)) return parseUrl(text);
  if (text.startsWith("s3://")) {
    throw new PronkError(
      "unsupported",
      `model ${text}: s3:// cannot be read here; it names packs, for serve, run and inspect`,
    );
  }
  const model = knownModel(text);
  return model ? { kind: "known", model } : { kind: "path", path: text };
}

/** No fragment is ignored: one that is misspelt would check nothing. */
function parseUrl(text: string): ModelReference {
  // What was given may hold a credential, even if it is no URL.
  if (!URL.canParse(text)) throw new PronkError("bad_request", "model: an address that is no URL");
  const at = text.indexOf("#");
  if (at < 0) return { kind: "url", url: text, sha256: undefined };
  const [, sha256] = /^#sha256=([0-9a-f]{64})$/i.exec(text.slice(at)) ?? [];
  if (sha256 === undefined) {
    throw new PronkError(
      "bad_request",
      `${shownUrl(text)}: what follows # is not sha256= and 64 hexadecimal digits`,
    );
  }
  return { kind: "url", url: text.slice(0, at), sha256: sha256.toLowerCase() };
}

const UNCHECKED = {
  folder: "it names a folder of files, which have a hash each",
  ranges: "the file is read by ranges, never as a whole",
} as const;

/**
 * For what is opened without all of its bytes at hand.
 *
 * @throws PronkError "unsupported" where the URL says what they have to be.
 */
export function refuseHash(
  { url, sha256 }: Extract<ModelReference, { kind: "url" }>,
  why: keyof typeof UNCHECKED,
): void {
  if (sha256 === undefined) return;
  throw new PronkError(
    "unsupported",
    `${shownUrl(url)}: #sha256= cannot be checked: ${UNCHECKED[why]}`,
  );
}
