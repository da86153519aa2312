// From shards in storage to the kernels' memory.
import { arrow, box, drawing, text } from "./drawing.mjs";

export function loading() {
  const width = 760;
  const height = 330;
  const title = "Loading: from shards to memory";
  const description =
    "A GGUF file is packed once, on a developer's machine, into a manifest and shards of at most 16 MiB named by their SHA-256, already in the kernels' layout. At a load the manifest is read and the whole memory planned; one WebAssembly memory of exactly that size is made. Two shards at a time stream from storage straight to their final addresses, and each is hashed where it lies. Nothing is copied, converted or grown.";
  return drawing({ width, height, title, description }, [
    text(20, 30, "once, where you develop", "small"),
    box({ x: 20, y: 42, width: 150, height: 66, head: "GGUF file", lines: ["or a checkpoint"] }),
    box({
      x: 220,
      y: 42,
      width: 150,
      height: 66,
      head: "pronk pack",
      lines: ["panels of 16 rows"],
    }),
    arrow([170, 75], [218, 75]),
    box({
      x: 420,
      y: 42,
      width: 320,
      height: 66,
      head: "R2, S3, files, https",
      lines: ["manifest.json, shards of at most 16 MiB"],
    }),
    arrow([370, 75], [418, 75]),
    `<rect class="none" x="20" y="142" width="720" height="150" rx="8"/>`,
    text(36, 162, "at each start", "small"),
    box({
      x: 36,
      y: 174,
      width: 150,
      height: 96,
      head: "plan",
      lines: ["every address,", "before anything", "is allocated"],
    }),
    `<rect class="strong" x="300" y="174" width="424" height="96" rx="6"/>`,
    text(314, 258, "one WebAssembly.Memory, never grown", "head"),
    box({ x: 314, y: 186, width: 210, height: 44, head: "weights" }),
    box({ x: 530, y: 186, width: 80, height: 44, head: "cache" }),
    box({ x: 616, y: 186, width: 96, height: 44, head: "scratch" }),
    arrow([186, 222], [298, 222]),
    text(200, 214, "its exact size", "small"),
    arrow([450, 108], [450, 184]),
    text(460, 132, "two at a time, each hashed where it lies", "small"),
    text(
      20,
      316,
      "A shard that differs from its name is fetched again once, then refused. A load is a verified copy: nothing is converted.",
      "small",
    ),
  ]);
}
