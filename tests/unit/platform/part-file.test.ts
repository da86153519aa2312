import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openPartFile } from "../../../src/platform/host/part-file.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a committed file has its final name and nothing is left beside it", async () => {
  const folder = await temporaryFolder();
  const part = await openPartFile(join(folder, "new", "model"), "tag");
  expect(part.size).toBe(0);
  await part.write(bytes("hello"), 0);
  await part.write(bytes("p!"), 3);
  await part.commit();

  expect(await readFile(join(folder, "new", "model"), "utf8")).toBe("help!");
  expect(await readdir(join(folder, "new"))).toEqual(["model"]);
});

test("a released file is continued by the next attempt", async () => {
  const path = join(await temporaryFolder(), "model");
  const first = await openPartFile(path, "tag");
  await first.write(bytes("hel"), 0);
  await first.release();

  const second = await openPartFile(path, "tag");
  expect(second.size).toBe(3);
  await second.write(bytes("lo"), 3);
  await second.commit();
  expect(await readFile(path, "utf8")).toBe("hello");
});

test("releasing an empty one leaves nothing", async () => {
  const folder = await temporaryFolder();
  await (await openPartFile(join(folder, "model"), "tag")).release();
  expect(await readdir(folder)).toEqual([]);
});

test("two downloads at once write two files", async () => {
  const path = join(await temporaryFolder(), "model");
  const a = await openPartFile(path, "tag");
  const b = await openPartFile(path, "tag");
  await a.write(bytes("hello"), 0);
  await b.write(bytes("hel"), 0);
  await a.commit();
  await b.write(bytes("lo"), 3);
  await b.commit();
  expect(await readFile(path, "utf8")).toBe("hello");
});

test("what a killed process left is taken over, the largest of several", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "model");
  await mkdir(folder, { recursive: true });
  // No process has a number this large: Linux stops at 2^22.
  await writeFile(`${path}.tag.99999999-1.part`, "hel");
  await writeFile(`${path}.tag.99999998-1.part`, "hell");

  const part = await openPartFile(path, "tag");
  expect(part.size).toBe(4);
  await part.discard();
  expect(await readdir(folder)).toEqual([]);
});

test("a file that a living process writes is left alone until it stands still for a minute", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "model");
  const theirs = `${path}.tag.${process.ppid}-1.part`;
  await writeFile(theirs, "hel");
  const part = await openPartFile(path, "tag");
  expect(part.size).toBe(0);
  await part.discard();

  const longAgo = new Date(Date.now() - 120_000);
  await utimes(theirs, longAgo, longAgo);
  const later = await openPartFile(path, "tag");
  expect(later.size).toBe(3);
  await later.discard();
});

test("a part of other content is not continued", async () => {
  const path = join(await temporaryFolder(), "model");
  const first = await openPartFile(path, "v1");
  await first.write(bytes("hel"), 0);
  await first.release();
  const second = await openPartFile(path, "v2");
  expect(second.size).toBe(0);
  await second.discard();
});
