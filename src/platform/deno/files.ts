/** Positional reads through Deno's own API. */
import type { OpenFile } from "../host/host.ts";

export function readFile(path: string | URL): Promise<Uint8Array> {
  return Deno.readFile(path);
}

export async function openFile(path: string): Promise<OpenFile> {
  const file = await Deno.open(path);
  const { size } = await file.stat();
  return {
    size,
    async read(destination, position): Promise<number> {
      // Synchronous, because a seek and a read of another caller must not come between.
      file.seekSync(position, 0);
      return file.readSync(destination) ?? 0;
    },
    async close(): Promise<void> {
      file.close();
    },
  };
}
