/** Who vouches for packs: --sign where they are made, --public-key where they are loaded. */
import { readFile } from "node:fs/promises";
import { PronkError } from "../errors.ts";
import { trustedKeys } from "../pack/signature.ts";
import { textOption } from "./arguments.ts";
import type { Arguments, CliContext, OptionSpecs } from "./command.ts";

export const SIGN_OPTION: OptionSpecs = {
  sign: {
    type: "string",
    value: "FILE",
    help: "sign the manifest with this private key (pronk keygen, or openssl's Ed25519 in PEM)",
  },
};

export const PUBLIC_KEY_OPTION: OptionSpecs = {
  "public-key": {
    type: "string",
    value: "KEYS",
    help: "load a pack only if one of these has signed it; with commas between; default: PRONK_PUBLIC_KEY",
  },
};

/** The private key in PEM; undefined where none is asked for. @throws PronkError "not_found" */
export async function signingKeyOf(input: Arguments): Promise<string | undefined> {
  const path = textOption(input, "sign");
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new PronkError("not_found", `${path}: cannot be read`, { cause });
  }
}

/** undefined where nobody has to have signed. @throws PronkError "bad_request" on what is no key. */
export function publicKeysOf(
  input: Arguments,
  { env }: Pick<CliContext, "env">,
): readonly string[] | undefined {
  const text = textOption(input, "public-key") ?? env.PRONK_PUBLIC_KEY;
  if (text === undefined) return undefined;
  const keys = text.split(",");
  trustedKeys(keys);
  return keys;
}
