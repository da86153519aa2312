import { PronkError } from "../../errors.ts";

/**
 * Makes what has buffers, and waits until the device has them.
 *
 * @param what of the error: what could not be had
 * @throws PronkError "out_of_memory" when a buffer is refused: what was made is disposed of; and what `make` throws.
 */
export async function allocate<Made extends { dispose(): void }>(
  device: GPUDevice,
  what: string,
  make: () => Made,
): Promise<Made> {
  device.pushErrorScope("out-of-memory");
  let made: Made | undefined;
  let failure: unknown;
  try {
    made = make();
  } catch (error) {
    failure = error;
  }
  const refused = await device.popErrorScope();
  if (made && !refused) return made;
  made?.dispose();
  if (!refused) throw failure;
  throw new PronkError("out_of_memory", `${what}: ${refused.message}`);
}
