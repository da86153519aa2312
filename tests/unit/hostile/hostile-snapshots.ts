/** Snapshots that attack the engine that loads them. */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { Hostile } from "./hostile-files.ts";

/** Whole, with a hash that is right: nobody signs snapshots. */
function snapshot(header: string): Uint8Array {
  const json = Buffer.from(header);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(json.length);
  const all = Buffer.concat([Buffer.from("PRONKSN\x02"), size, json]);
  return Buffer.concat([all, createHash("sha256").update(all).digest()]);
}

const FIELDS = { model: "m", kv: "f32", adapters: [], ids: [1], layer: 4 };
export const SNAPSHOTS: readonly Hostile[] = (
  [
    ["60 MB of brackets", () => "[".repeat(60e6), /60000000 bytes, at most 8000000/],
    ["7 MB of brackets", () => "[".repeat(7e6), /nested deeper than 64/],
    ["two million lists", () => `{"ids":[${"[],".repeat(2e6)}[]]}`, /more than 1000000 values/],
    [
      "as many objects as may be",
      () => `[${Array(4.9e5).fill("{}").join()}]`,
      /not that of a snapshot/,
    ],
    [
      "as many keys as may be",
      () => `{${Array.from({ length: 5e5 }, (_, i) => `"${i}x":0`).join()}}`,
      /not that of a snapshot/,
    ],
    [
      "a model's name of 6 MB that commands a terminal",
      () => JSON.stringify({ ...FIELDS, model: "\x1b[2J".repeat(7e5) }),
      /made by \\u\{1b\}\[2J.*…, the model is/,
    ],
    [
      "a cache's name of 7 MB",
      () => JSON.stringify({ ...FIELDS, kv: "x".repeat(7e6) }),
      /with a cache of x+…, the/,
    ],
  ] as const
).map(([name, header, reason]) => ({
  name: `a snapshot with ${name}`,
  way: "snapshot" as const,
  write: (path: string) => writeFileSync(path, snapshot(header())),
  code: "bad_format|bad_request",
  reason: new RegExp(`^/.*: snapshot: .*${reason.source}`),
}));
