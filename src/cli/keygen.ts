/** pronk keygen: the pair of keys that packs are signed and checked with. */
import { open } from "node:fs/promises";
import { PronkError } from "../errors.ts";
import { generateSigningKeys } from "../pack/signature.ts";
import { textOption, UsageError } from "./arguments.ts";
import type { Command } from "./command.ts";

/** Nobody else of this machine may read it. */
const PRIVATE_MODE = 0o600;

export const keygen: Command = {
  name: "keygen",
  group: "Get and make models",
  summary: "make the keys that packs are signed with",
  examples: [
    {
      line: "pronk keygen --out signing-key.pem",
      does: "the private key in a new file, the public one on stdout",
    },
  ],
  positionals: "--out FILE",
  maxPositionals: 0,
  options: {
    out: {
      type: "string",
      value: "FILE",
      help: "where the private key goes; must not be there yet",
    },
  },
  async run(input, cli): Promise<void> {
    const out = textOption(input, "out");
    if (!out) throw new UsageError("--out FILE is missing");
    const { privateKey, publicKey } = await generateSigningKeys();
    try {
      const file = await open(out, "wx", PRIVATE_MODE);
      try {
        await file.writeFile(privateKey);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (cause) {
      if ((cause as { code?: string }).code !== "EEXIST") throw cause;
      throw new PronkError("bad_request", `${out}: is there already; a key is never written over`);
    }
    cli.out(`${publicKey}\n`);
    cli.note(
      `${out}: keep it where no other reads it; loaders take the line above as --public-key\n`,
    );
  },
};
