/** Cuts a pack's image into shards, and names them. */
import { PronkError } from "../errors.ts";
import { TENSOR_ALIGNMENT } from "./forms.ts";
import type { ImagePlan } from "./image-plan.ts";
import { MAX_SHARD_BYTES, type PackedObject } from "./manifest.ts";

/**
 * A shard that has less than this share of its size is not ended at a tensor's border: few shards
 * count for more than borders, as each is a request.
 */
const MIN_FILL = 0.5;

/** The name under which an object of a pack is stored. */
export function objectName(object: Pick<PackedObject, "sha256">): string {
  return `${object.sha256}.bin`;
}

/**
 * Where each shard ends in the image: at a tensor's border where that leaves the shard at least half
 * full, so that a reader of some layers fetches little else; else at `shardBytes`.
 *
 * @throws PronkError "bad_request" when `shardBytes` is not a multiple of 32 from 32 to 16 MiB.
 */
export function planShards(plan: ImagePlan, shardBytes: number): number[] {
  if (
    !(shardBytes >= TENSOR_ALIGNMENT && shardBytes <= MAX_SHARD_BYTES) ||
    shardBytes % TENSOR_ALIGNMENT !== 0
  ) {
    throw new PronkError(
      "bad_request",
      `pack: shards of ${shardBytes} bytes, expected a multiple of ${TENSOR_ALIGNMENT} up to ${MAX_SHARD_BYTES}`,
      { param: "shardBytes" },
    );
  }
  const ends: number[] = [];
  let start = 0;
  const cut = (end: number): void => {
    ends.push(end);
    start = end;
  };
  plan.tensors.forEach(({ offset }, i) => {
    const end = plan.tensors[i + 1]?.offset ?? plan.weightBytes;
    if (end - start > shardBytes && offset - start >= shardBytes * MIN_FILL) cut(offset);
    while (end - start > shardBytes) cut(start + shardBytes);
  });
  if (start < plan.weightBytes) cut(plan.weightBytes);
  return ends;
}
