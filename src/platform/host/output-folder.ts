/** A directory that large files are written to: each appears under its name when it is whole. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { throwIfAborted } from "../../errors.ts";
import type { OutputFile, OutputFolder } from "../../formats/output-file.ts";
import { objectNameParts } from "../../sources/object-name.ts";
import { createPending } from "./atomic-file.ts";
import { onDisk } from "./disk-error.ts";

/** Small writes are gathered to so many bytes: a header entry must not cost a system call. */
const BUFFER_BYTES = 1024 * 1024;

/** Creates the directory with the first file. */
export function outputFolder(path: string): OutputFolder {
  return {
    name: path,
    async create(name, signal): Promise<OutputFile> {
      throwIfAborted(signal);
      return createFile(join(path, ...objectNameParts(path, name)));
    },
    async remove(name, signal) {
      throwIfAborted(signal);
      const file = join(path, ...objectNameParts(path, name));
      await onDisk(file, () => rm(file, { force: true }));
    },
  };
}

async function createFile(path: string): Promise<OutputFile> {
  const pending = await onDisk(path, () => createPending(path));
  const { file } = pending;
  const buffer = new Uint8Array(BUFFER_BYTES);
  let buffered = 0;
  const put = async (bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < bytes.length; ) {
      at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
    }
  };
  const flush = async (): Promise<void> => {
    const bytes = buffer.subarray(0, buffered);
    buffered = 0;
    await put(bytes);
  };
  return {
    write: (bytes) =>
      onDisk(path, async () => {
        if (buffered + bytes.length > BUFFER_BYTES) await flush();
        if (bytes.length > BUFFER_BYTES) return put(bytes);
        buffer.set(bytes, buffered);
        buffered += bytes.length;
      }),
    close: () =>
      onDisk(path, async () => {
        await flush();
        await pending.commit();
      }),
    discard: () => pending.discard(),
  };
}
