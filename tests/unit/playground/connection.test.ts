/** What the page tells of a server whose model could not be loaded. */
import { afterEach, expect, test, vi } from "vitest";
import { PronkError } from "../../../src/errors.ts";
import { Connection } from "../../../src/playground/server/connection.ts";
import { createApp } from "../../../src/server/app.ts";

afterEach(() => vi.unstubAllGlobals());

const why = "/models/secret.gguf: no such file";

test.each([
  ["", "the model could not be loaded (not_found)"],
  ["another", "the model could not be loaded (not_found)"],
  ["mine", why],
])("with the key %j it says as much as the server does", async (key, shown) => {
  const failed = createApp({
    engine: () => undefined,
    ready: () => ({ status: "failed", error: new PronkError("not_found", why) }),
    auth: { keys: ["mine"] },
  });
  vi.stubGlobal("addEventListener", () => undefined);
  vi.stubGlobal("sessionStorage", {
    getItem: () => JSON.stringify(key),
    setItem: () => undefined,
  });
  vi.stubGlobal("fetch", (url: URL, init?: RequestInit) => failed.request(url.pathname, init));
  const { state } = new Connection(new URL("http://localhost/"));
  await expect.poll(() => state.value).toEqual({ is: "failed", why: shown });
});
