import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  directoryFolder,
  directoryTarget,
  openSource,
} from "../../../src/platform/host/directory.ts";
import { nodeHost } from "../../../src/platform/node/host.ts";
import { readAll } from "../../../src/sources/source.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const bytes = new TextEncoder().encode("hello llama");

test("objects are read from anywhere in them", async () => {
  const path = await temporaryFolder();
  await mkdir(join(path, "a"));
  await writeFile(join(path, "a", "b.bin"), bytes);
  const source = await directoryFolder(nodeHost, path).open("a/b.bin");
  expect(source.size).toBe(bytes.length);
  const part = new Uint8Array(5);
  await source.readInto(part, 6);
  expect(new TextDecoder().decode(part)).toBe("llama");
  expect(await readAll(source)).toEqual(bytes);
});

describe("opening", () => {
  test.each([
    ["a missing object", "missing.bin", "not_found"],
    ["a folder", "folder", "not_found"],
    ["a name that leads out", "../secret", "bad_request"],
    ["an absolute name", "/etc/passwd", "bad_request"],
  ])("%s is refused", async (_, name, code) => {
    const path = await temporaryFolder();
    await mkdir(join(path, "folder"));
    const opened = directoryFolder(nodeHost, path).open(name);
    await expect(opened).rejects.toMatchObject({ code, message: expect.stringContaining(path) });
  });

  test("an aborted signal is heard", async () => {
    const path = await temporaryFolder();
    await writeFile(join(path, "a"), bytes);
    const opened = directoryFolder(nodeHost, path).open("a", AbortSignal.abort());
    await expect(opened).rejects.toMatchObject({ code: "aborted" });
  });
});

test("a file that becomes shorter while it is read is an error, not zeros", async () => {
  const path = join(await temporaryFolder(), "file");
  await writeFile(path, bytes);
  const source = await openSource(nodeHost, path);
  await writeFile(path, bytes.subarray(0, 4));
  await expect(readAll(source)).rejects.toMatchObject({ code: "source_failed" });
  await source.close();
});

test("many reads of one open file may be in flight", async () => {
  const path = join(await temporaryFolder(), "file");
  const large = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
  await writeFile(path, large);
  const source = await openSource(nodeHost, path);
  const parts = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const part = new Uint8Array(5000);
      await source.readInto(part, i * 5000);
      return part;
    }),
  );
  await source.close();
  expect(Buffer.compare(Buffer.concat(parts), large)).toBe(0);
});

describe("a target", () => {
  test("writes whole files under their names, and leaves nothing else", async () => {
    const path = join(await temporaryFolder(), "new");
    const target = directoryTarget(path);
    expect(await target.exists("manifest.json")).toBe(false);
    await target.write("manifest.json", bytes);
    await target.write("manifest.json", bytes.subarray(0, 5));
    expect(await target.exists("manifest.json")).toBe(true);
    expect(await readdir(path)).toEqual(["manifest.json"]);
    expect(await readFile(join(path, "manifest.json"), "utf8")).toBe("hello");
  });

  test("a shard whose content is not what its name says is not there", async () => {
    const path = await temporaryFolder();
    const name = `${createHash("sha256").update(bytes).digest("hex")}.bin`;
    const target = directoryTarget(path);
    await target.write(name, bytes);
    expect(await target.exists(name)).toBe(true);
    await writeFile(join(path, name), bytes.subarray(1));
    expect(await target.exists(name)).toBe(false);
  });

  test("refuses names that lead out of it", async () => {
    const target = directoryTarget(await temporaryFolder());
    await expect(target.write("../x", bytes)).rejects.toMatchObject({ code: "bad_request" });
  });
});
