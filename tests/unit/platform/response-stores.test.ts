/** One suite for every platform's store of responses; R2 and KV are Miniflare's. */
import { randomUUID } from "node:crypto";
import { readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KVNamespace, R2Bucket } from "@cloudflare/workers-types";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle } from "../../../src/cli/workerd.ts";
import type { DurableObjectNamespaceLike } from "../../../src/platform/cloudflare/quota-object.ts";
import {
  kvResponseStore,
  type ResponseBucketLike,
  type ResponseNamespaceLike,
  r2ResponseStore,
  responseStoreOf,
} from "../../../src/platform/cloudflare/response-stores.ts";
import { durableResponseStore } from "../../../src/platform/cloudflare/responses-object.ts";
import { responseFolder } from "../../../src/platform/host/response-folder.ts";
import { createApp, memoryResponseStore, type ResponseStore } from "../../../src/server/app.ts";
import { type Json, postJson } from "../server/client.ts";
import { createToy } from "../server/toy-engine.ts";
import { temporaryFolder } from "./temporary-folder.ts";

let miniflare: Miniflare;
let bucket: ResponseBucketLike;
let namespace: ResponseNamespaceLike;
let objects: DurableObjectNamespaceLike;
beforeAll(async () => {
  miniflare = new Miniflare({
    modules: await bundle("workers/cloudflare-front.ts"),
    compatibilityDate: "2026-04-01",
    durableObjects: { RESPONSES_OBJECTS: { className: "ResponsesObject", useSQLite: true } },
    r2Buckets: ["RESPONSES"],
    kvNamespaces: ["RESPONSES_KV"],
    cf: false,
  });
  bucket = (await miniflare.getR2Bucket("RESPONSES")) as unknown as ResponseBucketLike;
  objects = (await miniflare.getDurableObjectNamespace(
    "RESPONSES_OBJECTS",
  )) as unknown as DurableObjectNamespaceLike;
  namespace = (await miniflare.getKVNamespace("RESPONSES_KV")) as unknown as ResponseNamespaceLike;
}, 60_000);
afterAll(() => miniflare.dispose());

const { engine } = createToy();
let ids = 0;
const newId = (): string => `resp_${String(ids++).padStart(32, "0")}`;
const later = (): number => Date.now() + 3600_000;

describe.each<[string, () => Promise<ResponseStore> | ResponseStore]>([
  ["memory", () => memoryResponseStore()],
  ["a folder", async () => responseFolder(join(await temporaryFolder(), "a", "b"))],
  ["R2", () => r2ResponseStore(bucket)],
  ["KV", () => kvResponseStore(namespace)],
  ["Durable Objects", () => durableResponseStore(objects)],
])("responses in %s", (name, create) => {
  test("are there until they are deleted", async () => {
    const store = await create();
    const [id, other] = [newId(), newId()];
    expect(await store.get(id)).toBeUndefined();
    await store.put(id, '{"a":"ä\\u0000🦙"}', later());
    await store.put(other, "2", later());
    expect(await store.get(id)).toBe('{"a":"ä\\u0000🦙"}');
    await store.put(id, "3", later());
    expect(await store.get(id)).toBe("3");
    await store.delete(id);
    await store.delete(id);
    expect(await store.get(id)).toBeUndefined();
    expect(await store.get(other)).toBe("2");
  });

  // The others keep them a little longer; who asks looks at their time again.
  test.skipIf(["KV", "a folder"].includes(name))("are not there when they are over", async () => {
    const store = await create();
    const id = newId();
    await store.put(id, "1", Date.now() - 1000);
    expect(await store.get(id)).toBeUndefined();
  });

  test.skipIf(name !== "Durable Objects")("may be longer than a value of storage", async () => {
    const store = await create();
    const id = newId();
    const text = "🦙ä1234".repeat(600_000);
    await store.put(id, text, later());
    expect((await store.get(id)) === text).toBe(true);
    await store.put(id, "short", later());
    expect(await store.get(id)).toBe("short");
  });

  test("carry a conversation over to another server", async () => {
    const store = await create();
    const ask = async (fields: object): Promise<Json> => {
      const app = createApp({ engine, responses: { store } });
      const body = { model: "toy/llama", input: "How many days?", temperature: 0, ...fields };
      return (await postJson(app, "/v1/responses", body)).json;
    };
    const first = await ask({});
    const second = await ask({ previous_response_id: first.id });
    expect(second.error).toBeNull();
    expect(second.usage.input_tokens).toBeGreaterThan(first.usage.input_tokens);
    const app = createApp({ engine, responses: { store } });
    expect(await (await app.request(`/v1/responses/${second.id}`)).json()).toEqual(second);
  });
});

describe("a folder of responses", () => {
  test("holds whole files, for this user only", async () => {
    const folder = join(await temporaryFolder(), "responses");
    const store = responseFolder(folder);
    await Promise.all([store.put("resp_a", "1", later()), store.put("resp_a", "2", later())]);
    expect(await readdir(folder)).toEqual(["resp_a.json"]);
    expect(["1", "2"]).toContain(await store.get("resp_a"));
    if (process.platform !== "win32") {
      expect((await stat(folder)).mode & 0o077).toBe(0);
      expect((await stat(join(folder, "resp_a.json"))).mode & 0o077).toBe(0);
    }
  });

  test.each(["../x", "a/b", "", "a.b", "a".repeat(81)])("has none under %j", async (id) => {
    const store = responseFolder(await temporaryFolder());
    await expect(store.put(id, "1", later())).rejects.toThrow("not a file's name");
    await expect(store.get(id)).rejects.toThrow("not a file's name");
    await expect(store.delete(id)).rejects.toThrow("not a file's name");
  });

  test("loses those that are over, those beyond its number, and what a crash left", async () => {
    const folder = await temporaryFolder();
    const left = join(folder, `resp_x.json.${randomUUID()}.tmp`);
    await writeFile(left, "half");
    await writeFile(join(folder, "resp_y.json.2.tmp"), "being written");
    await utimes(left, 1, 1);
    await writeFile(join(folder, "other.txt"), "not ours");
    for (let n = 0; n < 5; n++) {
      await responseFolder(folder).put(`resp_${n}`, "1", later() + n * 1000);
    }
    await responseFolder(folder).put("resp_old", "1", Date.now() - 100_000);
    await responseFolder(folder, { maxResponses: 3 }).put("resp_new", "1", later() + 10_000);
    expect((await readdir(folder)).sort()).toEqual(
      ["other.txt", "resp_3.json", "resp_4.json", "resp_new.json", "resp_y.json.2.tmp"].sort(),
    );
  });
});

describe("what a Worker has bound", () => {
  test("is described by Cloudflare's own types", () => {
    const bucketLike = (real: R2Bucket): ResponseBucketLike => real;
    const namespaceLike = (real: KVNamespace): ResponseNamespaceLike => real;
    expect([bucketLike, namespaceLike]).toHaveLength(2);
  });

  test("is told apart", async () => {
    const id = newId();
    await (responseStoreOf(bucket) as ResponseStore).put(id, "r2", later());
    await (responseStoreOf(namespace) as ResponseStore).put(id, "kv", later());
    expect(await (await bucket.get(`responses/${id}`))?.text()).toBe("r2");
    expect(await namespace.get(id)).toBe("kv");
    await (responseStoreOf(objects) as ResponseStore).put(id, "object", later());
    expect(await durableResponseStore(objects).get(id)).toBe("object");
    expect(responseStoreOf(undefined)).toBe(false);
  });
});
