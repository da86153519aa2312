/** Opened models that somebody has to vouch for. */
import { PronkError } from "../errors.ts";
import { signedPack } from "../pack/checked-folder.ts";
import type { ModelInput } from "./opened-model.ts";

/**
 * The pack, read only as far as one of the keys has signed it.
 *
 * @param publicKey undefined asks for no signature
 * @throws PronkError "bad_request" for what is no pack; as signedPack.
 */
export function signedInput(
  input: ModelInput,
  publicKey: string | readonly string[] | undefined,
): ModelInput {
  if (publicKey === undefined) return input;
  if ("pack" in input) return { ...input, pack: signedPack(input.pack, publicKey) };
  throw new PronkError("bad_request", "model: only packs are signed, and a public key was given", {
    param: "publicKey",
  });
}
