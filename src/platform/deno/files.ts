/** Positional reads through Deno's own API. */
import { PronkError } from "../../errors.ts";
import type { OpenFile } from "../host/host.ts";

/** Modules that come from JSR have what lies beside them behind URLs. */
export async function readFile(path: string | URL): Promise<Uint8Array> {
  if (!(path instanceof URL) || path.protocol === "file:") return Deno.readFile(path);
  const response = await fetch(path);
  if (!response.ok) throw new PronkError("source_failed", `${path}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
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
