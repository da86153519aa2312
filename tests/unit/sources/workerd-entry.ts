/** A Worker that reads objects by our sources: run in a real workerd by workerd.test.ts. */
import type { R2Bucket } from "@cloudflare/workers-types";
import { httpSource } from "../../../src/sources/http.ts";
import { r2Source } from "../../../src/sources/r2.ts";
import { retrying } from "../../../src/sources/retrying.ts";
import { readVerified } from "../../../src/sources/verified.ts";

export default {
  /** Reads what `?r2=KEY` or `?http=URL` names into WebAssembly memory and checks its `sha256`. */
  async fetch(request: Request, env: { MODELS: R2Bucket }): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const key = query.get("r2");
    let reads = 0;
    try {
      const source = key
        ? await r2Source(env.MODELS, key)
        : await httpSource(query.get("http") ?? "", { fetch });
      const memory = new WebAssembly.Memory({ initial: Math.ceil(source.size / 65_536) + 1 });
      const destination = new Uint8Array(memory.buffer, 3, source.size);
      await readVerified(retrying(source, { baseMs: 1 }), query.get("sha256") ?? "", destination, {
        onProgress: () => reads++,
      });
      return Response.json({ size: source.size, reads });
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      return Response.json({ code, message });
    }
  },
};
