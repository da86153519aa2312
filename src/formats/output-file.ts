/** Where large files are written, from their first byte to their last. */

export interface OutputFolder {
  /** For error messages; never a credential. */
  readonly name: string;
  /** Begins a file of this name, `/`-free; what is there stays until the new one is closed. */
  create(name: string, signal?: AbortSignal): Promise<OutputFile>;
  /** Takes a file away that an earlier write left, if there is one. Absent where nothing is ever left. */
  remove?(name: string, signal?: AbortSignal): Promise<void>;
}

export interface OutputFile {
  /** Appends; `bytes` may change once the promise has settled. */
  write(bytes: Uint8Array): Promise<void>;
  /** Makes the file whole, under its name. */
  close(): Promise<void>;
  /** Drops what was written; also where it could not be closed. */
  discard(): Promise<void>;
}

/** Writes one file: closed when `write` has ended, dropped when it threw. */
export async function writeOutput(
  folder: OutputFolder,
  name: string,
  write: (file: OutputFile) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const file = await folder.create(name, signal);
  try {
    await write(file);
    await file.close(); // A disk may say only here that it is full.
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** Writes a small file whose bytes are at hand. */
export function writeWhole(
  folder: OutputFolder,
  name: string,
  content: Uint8Array | string,
  signal?: AbortSignal,
): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return writeOutput(folder, name, (file) => file.write(bytes), signal);
}
