/** That a file is refused, in bounded time, naming itself. */
import { expect } from "vitest";
import { readTorch } from "../../../../src/formats/torch/read-torch.ts";
import type { ByteSource } from "../../../../src/sources/source.ts";

/** Far more than any of these takes here, far less than an attack would. */
const MAX_MS = 5000;

export async function refusal(source: ByteSource): Promise<{ code: string; message: string }> {
  const start = performance.now();
  const error = await readTorch(source).then(
    () => expect.fail("was read"),
    (error: { code: string; message: string }) => error,
  );
  expect(performance.now() - start).toBeLessThan(MAX_MS);
  expect(error.message).toContain("m.pth");
  return error;
}
