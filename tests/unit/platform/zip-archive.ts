/** Archives for tests. */
import { deflateRawSync } from "node:zlib";

/** A zip archive; CRCs are left zero, since the caller's SHA-256 decides. */
export function zip(
  members: [name: string, content: string | Uint8Array, method: number][],
  comment = "",
): Buffer {
  const parts: Buffer[] = [];
  const records: Buffer[] = [];
  let offset = 0;
  for (const [name, content, method] of members) {
    const data = method === 8 ? deflateRawSync(content) : Buffer.from(content);
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(method, 8);
    header.writeUInt32LE(data.length, 18);
    header.writeUInt16LE(name.length, 26);
    header.writeUInt16LE(4, 28); // an extra field that the directory does not have
    const record = Buffer.alloc(46);
    record.writeUInt32LE(0x02014b50, 0);
    record.writeUInt16LE(method, 10);
    record.writeUInt32LE(data.length, 20);
    record.writeUInt16LE(name.length, 28);
    record.writeUInt32LE(offset, 42);
    records.push(record, Buffer.from(name));
    const member = Buffer.concat([header, Buffer.from(name), Buffer.alloc(4), data]);
    parts.push(member);
    offset += member.length;
  }
  const directory = Buffer.concat(records);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, directory, end, Buffer.from(comment)]);
}
