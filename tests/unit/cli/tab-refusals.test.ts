/** What is no model for a tab is refused in the words of the command line: the same code says no. */
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { ModelLibrary } from "../../../src/playground/tab/model-library.ts";
import type { OpenArgument } from "../../../src/playground/tab/tab-calls.ts";
import { tabMethods } from "../../../src/playground/tab/tab-methods.ts";
import { REFUSED_FILES } from "../../support/refused-files.ts";
import { temporaryFolder } from "../platform/temporary-folder.ts";
import { pronk } from "./fake-cli.ts";

/** A file that begins with these bytes: Node's own File counts sizes in 32 bits. */
function fileOf(start: Uint8Array, size: number, name: string): File {
  const slice = (from: number, to: number): Blob => {
    const part = new Uint8Array(to - from);
    part.set(start.subarray(from, to));
    return new Blob([part]);
  };
  return { name, size, slice } as File;
}

/** The tab's worker, without a browser around it. */
async function openInTab(file: File): Promise<unknown> {
  const library = new ModelLibrary({
    remote: () => {
      throw new Error("nothing is beside this page");
    },
    room: { estimate: async () => ({}) },
    now: () => 0,
  });
  const methods = tabMethods({
    library: async () => library,
    refresh: async () => {},
    room: async () => ({}),
  });
  const argument: OpenArgument = { model: { files: [file], keep: true }, options: {} };
  const context = { signal: new AbortController().signal, part: () => {} };
  return methods.open!(argument as never, context).catch((error: unknown) => error);
}

test.each(REFUSED_FILES)("%s is refused as `pronk run` refuses it", async (_, bytes, size) => {
  const path = join(await temporaryFolder(), "dropped.gguf");
  await writeFile(path, bytes);
  if (size !== undefined) await truncate(path, size);
  const refused = await openInTab(fileOf(bytes, size ?? bytes.length, path));
  expect(refused).toBeInstanceOf(PronkError);
  const { message } = refused as PronkError;
  // A tab has one memory.
  const { code, err } = await pronk(["run", path, "--prompt", "x", "--stages", "1"]);
  expect(code).toBe(1);
  expect(err).toContain(message);
  expect(message.length).toBeGreaterThan(20);
});
