import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { copyZipMember } from "../../../src/platform/host/zip-member.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { zip } from "./zip-archive.ts";

const text = "pronk ".repeat(10_000);

test.each([
  ["deflated", 8],
  ["stored", 0],
])("copies a %s member, whatever stands around it", async (_, method) => {
  const folder = await temporaryFolder();
  await writeFile(
    join(folder, "a.zip"),
    zip(
      [
        ["first", "1", 0],
        ["dir/model", text, method],
        ["last", "2", 8],
      ],
      "a comment",
    ),
  );
  await copyZipMember(join(folder, "a.zip"), "dir/model", join(folder, "out"));
  expect(await readFile(join(folder, "out"), "utf8")).toBe(text);
});

const whole = zip([["model", text, 8]]);

describe("refuses", () => {
  test.each([
    ["an archive without the member", zip([["other", text, 8]]), "not_found"],
    ["an empty file", Buffer.alloc(0), "bad_format"],
    ["a file that is no archive", Buffer.alloc(1000), "bad_format"],
    ["an archive cut off at its front", whole.subarray(100), "bad_format"],
    ["a member in another compression", zip([["model", text, 12]]), "bad_format"],
    ["a member whose data is damaged", patched(whole, 45 - whole.length, -1 >>> 0), "bad_format"],
    ["a directory that is not where it should be", patched(whole, -22 + 16, 7), "bad_format"],
    ["a directory longer than the file", patched(whole, -22 + 12, 0x7fffffff), "bad_format"],
    ["more records than there are", moreRecords(zip([["other", text, 8]])), "bad_format"],
  ])("%s", async (_, bytes, code) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "a.zip"), bytes);
    await expect(
      copyZipMember(join(folder, "a.zip"), "model", join(folder, "out")),
    ).rejects.toMatchObject({ code });
  });
});

/** The archive with a u32 changed at an offset from its end. */
function patched(archive: Buffer, fromEnd: number, value: number): Buffer {
  const copy = Buffer.from(archive);
  copy.writeUInt32LE(value, copy.length + fromEnd);
  return copy;
}

function moreRecords(archive: Buffer): Buffer {
  const copy = Buffer.from(archive);
  copy.writeUInt16LE(9, copy.length - 22 + 10);
  return copy;
}
