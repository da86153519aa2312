/** A pack as a checkpoint: every weight is exactly what the kernels compute with. */

import { castTensor } from "../formats/cast-tensor.ts";
import type { FloatTensor } from "../formats/float-tensor.ts";
import { type MatrixForm, PANEL_ROWS, panelBytes } from "../pack/forms.ts";
import { loadBlob, readManifest } from "../pack/loader.ts";
import type { Manifest, PackedTensor } from "../pack/manifest.ts";
import { unpackRow } from "../pack/unpack-row.ts";
import type { SourceFolder } from "../sources/source.ts";
import type { Checkpoint } from "./checkpoint.ts";

/**
 * @throws PronkError as readManifest; reading tensors, "corrupt" when a shard differs from its hash.
 */
export async function openPackCheckpoint(
  folder: SourceFolder,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const manifest = await readManifest(folder, signal);
  const image = new PackImage(folder, manifest);
  const tensors = manifest.tensors.map((tensor): [string, FloatTensor] => {
    const read = floatTensor(tensor, image);
    // What came from 16 bits fits them.
    return [tensor.name, tensor.dtype ? castTensor(read, tensor.dtype) : read];
  });
  const template = manifest.chat_template;
  return {
    name: folder.name,
    config: manifest.config,
    tensors: new Map(tensors),
    ...(Object.keys(manifest.generation_config).length > 0 && {
      generation_config: manifest.generation_config,
    }),
    ...(template !== null && {
      files: new Map([
        ["chat_template.jinja", { read: async () => new TextEncoder().encode(template) }],
      ]),
    }),
  };
}

/** Ranges of the image; the shard that was read last stays in memory, since tensors are read in order. */
class PackImage {
  readonly #folder: SourceFolder;
  readonly #manifest: Manifest;
  #last: { index: number; bytes: Uint8Array } | undefined;

  constructor(folder: SourceFolder, manifest: Manifest) {
    this.#folder = folder;
    this.#manifest = manifest;
  }

  async read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const out = new Uint8Array(end - start);
    let at = 0;
    for (const [index, object] of this.#manifest.shards.entries()) {
      const from = Math.max(start, at);
      const to = Math.min(end, at + object.bytes);
      if (from < to) {
        if (this.#last?.index !== index) {
          this.#last = { index, bytes: await loadBlob(this.#folder, object, { signal }) };
        }
        out.set(this.#last.bytes.subarray(from - at, to - at), from - start);
      }
      at += object.bytes;
    }
    return out;
  }
}

function floatTensor({ name, form, shape, offset }: PackedTensor, image: PackImage): FloatTensor {
  if (form === "vector") {
    return {
      name,
      type: "F32",
      shape,
      async readRows(first, count, into, signal) {
        const start = offset + first * 4;
        into.set(await image.read(start, start + count * 4, signal));
      },
    };
  }
  const cols = shape[1]!;
  const size = panelBytes(form, cols);
  return {
    name,
    type: form === "bf16" ? "BF16" : "F32",
    shape,
    async readRows(first, count, into, signal) {
      const firstPanel = Math.floor(first / PANEL_ROWS);
      const endPanel = Math.ceil((first + count) / PANEL_ROWS);
      const panels = await image.read(offset + firstPanel * size, offset + endPanel * size, signal);
      unpackRows(form, panels, cols, first - firstPanel * PANEL_ROWS, count, into);
    },
  };
}

/** Rows [first, first + count) of whole panels. */
function unpackRows(
  form: MatrixForm,
  panels: Uint8Array,
  cols: number,
  first: number,
  count: number,
  into: Uint8Array,
): void {
  const values = new Float32Array(cols);
  const bytes = new Uint8Array(values.buffer);
  for (let i = 0; i < count; i++) {
    unpackRow(form, panels, cols, first + i, values);
    if (form === "bf16") {
      // The upper halves of the f32.
      for (let c = 0; c < cols; c++) {
        into[(i * cols + c) * 2] = bytes[4 * c + 2]!;
        into[(i * cols + c) * 2 + 1] = bytes[4 * c + 3]!;
      }
    } else into.set(bytes, i * cols * 4);
  }
}
