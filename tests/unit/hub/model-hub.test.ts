import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chooseFiles, findHubFiles } from "../../../src/hub/model-hub.ts";
import { type FileServer, startFileServer } from "./file-server.ts";

const one = ["README.md", "Model.Q4_1.gguf"];
const many = ["m-Q4_0.gguf", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-IQ4_NL.gguf"];
const split = ["big-q6_k-00001-of-00002.gguf", "big-q6_k-00002-of-00002.gguf"];

describe("of a repository's files", () => {
  test.each([
    ["the only GGUF is taken", one, undefined, ["Model.Q4_1.gguf"]],
    ["a named file is taken", many, "m-Q8_0.gguf", ["m-Q8_0.gguf"]],
    ["a quantization is found in any case", many, "q8_0", ["m-Q8_0.gguf"]],
    ["Q4_K_M is preferred", many, undefined, ["m-Q4_K_M.gguf"]],
    ["all parts of a split model are taken", split, "Q6_K", split],
    ["a part stands for the whole", split, split[1], split],
  ])("%s", (_, names, choice, chosen) => {
    expect(chooseFiles(names, choice, "hf:a/b")).toEqual(chosen);
  });

  test.each([
    ["none is named and none is preferred", ["a-Q2_K.gguf", "b-Q3_K.gguf"], undefined],
    ["the quantization is not there", many, "Q5_0"],
    ["the quantization stands twice", ["a-Q4_0.gguf", "b-Q4_0.gguf"], "Q4_0"],
    ["a part is missing", split.slice(0, 1), undefined],
    ["there is no GGUF", ["model.safetensors"], undefined],
  ])("an error lists what there is when %s", (_, names, choice) => {
    const listed = names.filter((name) => name.endsWith(".gguf")).join(", ") || "no GGUF";
    expect(() => chooseFiles(names, choice, "hf:a/b")).toThrow(
      expect.objectContaining({ code: "not_found", message: expect.stringContaining(listed) }),
    );
  });
});

describe("asked over HTTP", () => {
  let server: FileServer;
  beforeEach(async () => {
    server = await startFileServer();
  });
  afterEach(() => server.close());

  test("a hub gives lengths, hashes and URLs by commit", async () => {
    const sha = "c".repeat(40);
    const sha256 = "a".repeat(64);
    server.routes.set("/api/models/a/b/revision/main", (_, response) =>
      response.end(
        JSON.stringify({
          sha,
          siblings: [
            { rfilename: "x y.gguf", size: 7, lfs: { sha256 } },
            { rfilename: "README.md", size: 1 },
          ],
        }),
      ),
    );
    expect(await findHubFiles(server.url, "a/b", "main", undefined, { fetch })).toEqual([
      { name: "x y.gguf", url: `${server.url}/a/b/resolve/${sha}/x%20y.gguf`, bytes: 7, sha256 },
    ]);
    expect(server.requests[0]).toContain("?blobs=true");
  });

  test.each([
    ["that is not JSON", "<html>"],
    ["without a list", "{}"],
    ["that is an array", "[]"],
  ])("an answer %s is refused", async (_, body) => {
    server.routes.set("/api/models/a/b/revision/main", (_, response) => response.end(body));
    await expect(
      findHubFiles(server.url, "a/b", "main", undefined, { fetch, backoffMs: 1 }),
    ).rejects.toMatchObject({ code: "source_failed" });
  });
});
