/** Positional reads through node:fs, straight into the destination; Bun uses these too. */
import { open, readFile as read } from "node:fs/promises";
import type { OpenFile } from "../host/host.ts";

export async function readFile(path: string | URL): Promise<Uint8Array> {
  return read(path);
}

export async function openFile(path: string): Promise<OpenFile> {
  const file = await open(path, "r");
  const { size } = await file.stat();
  return {
    size,
    async read(destination, position): Promise<number> {
      return (await file.read(destination, 0, destination.length, position)).bytesRead;
    },
    close: () => file.close(),
  };
}
