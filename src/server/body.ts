/** Reads a request's JSON body within a byte limit. */
import { PronkError } from "../errors.ts";
import { parseBoundedJson } from "../formats/bounded-json.ts";
import { RequestError } from "./errors.ts";

/**
 * The body as a JSON object, whatever its content type says: many clients send none, and curl's
 * default is that of a form.
 *
 * @throws RequestError "request_too_large", before more than `limitBytes` are kept; PronkError
 *   "bad_request" when the body is missing, cut off, not UTF-8, not JSON or not an object.
 */
export async function readJsonObject(
  request: Request,
  limitBytes: number,
): Promise<Record<string, unknown>> {
  const value = await readJson(request, limitBytes);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PronkError("bad_request", "body: expected a JSON object");
  }
  return value as Record<string, unknown>;
}

/** The body as JSON of any kind. @throws as readJsonObject. */
export async function readJson(request: Request, limitBytes: number): Promise<unknown> {
  return parseBody(await readBytes(request, limitBytes));
}

/** A body's bytes as JSON of any kind. @throws PronkError "bad_request". */
export function parseBody(bytes: Uint8Array): unknown {
  if (bytes.length === 0) throw new PronkError("bad_request", "body: empty, expected JSON");
  return parseBoundedJson(
    bytes,
    (why, cause) => new PronkError("bad_request", `body: ${why}`, { cause }),
  );
}

/** @throws RequestError "request_too_large"; PronkError "bad_request" when it is cut off. */
export async function readBytes(
  request: Request,
  limitBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = (): RequestError =>
    new RequestError("request_too_large", `body: more than ${limitBytes} bytes`);
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > limitBytes) throw tooLarge();

  try {
    // With a declared length the runtime itself ends the body there: the fast path is safe.
    if (declared !== null) {
      const bytes = new Uint8Array(await request.arrayBuffer());
      if (bytes.length > limitBytes) throw tooLarge();
      return bytes;
    }
    if (request.body === null) return new Uint8Array(0);
    const chunks: Uint8Array[] = [];
    let size = 0;
    const reader = request.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > limitBytes) {
        reader.cancel().catch(() => {}); // the answer is decided; how the rest ends is no news
        throw tooLarge();
      }
      chunks.push(value);
    }
    return concat(chunks, size);
  } catch (cause) {
    if (cause instanceof PronkError) throw cause;
    throw new PronkError("bad_request", "body: cut off before its end", { cause });
  }
}

function concat(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
