/** A front Worker and engine objects in a script of their own, on a real workerd. */
import { Miniflare } from "miniflare";
import { bundle } from "../../src/cli/workerd.ts";

export interface EngineObjects {
  readonly url: string;
  /** What is in an object: requests that run, tokens so far, turns that it keeps. */
  state(object: string): Promise<Record<string, number>>;
  /** Ends an object in whatever it does; `evict` frees the model, too. */
  end(object: string, how: "kill" | "evict"): Promise<void>;
  /** Where the inspector of the engines' isolate listens, with `inspect`. */
  readonly inspectorUrl?: string;
  close(): Promise<void>;
}

export interface EngineObjectsOptions {
  readonly inspect?: boolean;
  readonly objects?: number;
  /** Where their storage is; by default it is gone with the process. */
  readonly folder?: string;
  readonly bindings?: Readonly<Record<string, string>>;
}

const COMMON = {
  compatibilityDate: "2026-04-01",
  compatibilityFlags: ["enable_request_signal"],
  r2Buckets: { MODELS: "models" },
};

/** @param pack its objects by name. */
export async function startEngineObjects(
  pack: ReadonlyMap<string, Uint8Array>,
  { objects = 1, folder, bindings = {}, inspect = false }: EngineObjectsOptions = {},
): Promise<EngineObjects> {
  const own = (className: string): object => ({ className, useSQLite: true });
  const miniflare = new Miniflare({
    cf: false,
    ...(folder !== undefined && { durableObjectsPersist: folder }),
    ...(inspect && { inspectorPort: 0 }),
    workers: [
      {
        ...COMMON,
        name: "front",
        modules: await bundle("tests/support/object-front.ts"),
        bindings: { PACK: "model", OBJECTS: String(objects), ...bindings },
        durableObjects: {
          ENGINES: { className: "EngineObject", scriptName: "engine", useSQLite: true },
          PRONK_QUOTA: own("QuotaObject"),
          PRONK_RESPONSES: own("ResponsesObject"),
        } as never,
      },
      {
        ...COMMON,
        name: "engine",
        modules: await bundle("tests/support/object-engine.ts"),
        bindings: { PACK: "model" },
        durableObjects: { OWN: own("EngineObject") } as never,
      },
    ],
  });
  try {
    const { href } = await miniflare.ready;
    const url = href.replace(/\/$/, "");
    const bucket = await miniflare.getR2Bucket("MODELS", "front");
    for (const [name, bytes] of pack) await bucket.put(`model/${name}`, new Uint8Array(bytes));
    const test = async (path: string, object: string): Promise<Record<string, number>> => {
      const signal = AbortSignal.timeout(60_000);
      const response = await fetch(`${url}/test/${path}?object=${object}`, { signal });
      return (await response.json()) as Record<string, number>;
    };
    return {
      url,
      state: (object) => test("state", object),
      end: async (object, how) => void (await test(how, object)),
      ...(inspect && {
        inspectorUrl: new URL("/core:user:engine", await miniflare.getInspectorURL()).href,
      }),
      close: () => miniflare.dispose(),
    };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}
