/** A Worker that opens and reads sources for workerd-sources.test.ts, as it is told. */
import {
  assetsSource,
  cachedSource,
  r2Source,
  s3Source,
} from "../../../src/platform/cloudflare/index.ts";
import { httpFolder } from "../../../src/sources/http.ts";
import type { ByteSource, SourceFolder } from "../../../src/sources/source.ts";

type Env = {
  readonly MODELS: Parameters<typeof r2Source>[0];
  readonly ASSETS: Parameters<typeof assetsSource>[0];
  readonly SERVER: string;
};

const KEYS = { accessKeyId: "K", secretAccessKey: "S" };

function folderOf(kind: string, prefix: string, env: Env): SourceFolder {
  switch (kind) {
    case "r2":
      return r2Source(env.MODELS, prefix);
    case "assets":
      return assetsSource(env.ASSETS, prefix);
    case "http":
      return httpFolder(`${env.SERVER}/${prefix}`, { fetch: (url, init) => fetch(url, init) });
    case "s3":
      return s3Source({ endpoint: env.SERVER, bucket: "bucket", prefix, credentials: KEYS });
    default:
      return cachedSource(r2Source(env.MODELS, prefix));
  }
}

const opened: ByteSource[] = [];

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const text = (name: string): string => query.get(name) ?? "";
    const abort = new AbortController();
    if (query.has("aborted")) abort.abort();
    try {
      if (!query.has("id")) {
        const folder = folderOf(text("kind"), text("prefix"), env);
        const size = query.has("size") ? Number(text("size")) : undefined;
        const source = await folder.open(text("name"), abort.signal, size);
        return Response.json({ id: opened.push(source) - 1, name: source.name, size: source.size });
      }
      const destination = new Uint8Array(Number(text("length")));
      const progress: number[] = [];
      await opened[Number(text("id"))]!.readInto(
        destination,
        Number(text("start")),
        abort.signal,
        (bytes) => {
          progress.push(bytes);
          if (query.has("leave")) abort.abort();
        },
      );
      return new Response(destination, { headers: { "x-progress": progress.join() } });
    } catch (error) {
      const { code, message, retryAfterMs } = error as Record<string, unknown>;
      return Response.json({ code, message, retryAfterMs }, { status: 500 });
    }
  },
};
