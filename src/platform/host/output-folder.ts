/** A directory that large files are written to: each appears under its name when it is whole. */
import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PronkError, throwIfAborted } from "../../errors.ts";
import type { OutputFile, OutputFolder } from "../../formats/output-file.ts";
import { objectNameParts } from "../../sources/object-name.ts";
import { syncFolder } from "./atomic-file.ts";

/** Small writes are gathered to so many bytes: a header entry must not cost a system call. */
const BUFFER_BYTES = 1024 * 1024;

/** Creates the directory with the first file. */
export function outputFolder(path: string): OutputFolder {
  return {
    name: path,
    async create(name, signal): Promise<OutputFile> {
      throwIfAborted(signal);
      const file = join(path, ...objectNameParts(path, name));
      await mkdir(dirname(file), { recursive: true });
      return createFile(file);
    },
    async remove(name, signal) {
      throwIfAborted(signal);
      await rm(join(path, ...objectNameParts(path, name)), { force: true });
    },
  };
}

async function createFile(path: string): Promise<OutputFile> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = await open(temporary, "wx");
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
  const failing = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (cause) {
      const { code, message } = cause as { code?: string; message: string };
      throw new PronkError("source_failed", `${path}: ${code ?? message}`, { cause });
    }
  };
  return {
    write: (bytes) =>
      failing(async () => {
        if (buffered + bytes.length > BUFFER_BYTES) await flush();
        if (bytes.length > BUFFER_BYTES) return put(bytes);
        buffer.set(bytes, buffered);
        buffered += bytes.length;
      }),
    close: () =>
      failing(async () => {
        await flush();
        await file.sync();
        await file.close();
        await rename(temporary, path);
        await syncFolder(dirname(path));
      }),
    async discard(): Promise<void> {
      await file.close().catch(() => undefined);
      await unlink(temporary).catch(() => undefined);
    },
  };
}
