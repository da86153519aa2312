/** What `$ref` refers to inside a schema: JSON pointers, anchors and the schema's own id. */
import { isObject, isSchema, type Json, type Schema, unsupported } from "./schema.ts";

export class Referrer {
  readonly #root: Schema;
  readonly #anchors: Map<string, Schema> = new Map();
  readonly #id: string | undefined;

  constructor(root: Schema) {
    this.#root = root;
    this.#id = isObject(root) && typeof root.$id === "string" ? root.$id : undefined;
    const rest: Json[] = [root];
    for (let value = rest.pop(); value !== undefined; value = rest.pop()) {
      if (isObject(value)) {
        if (typeof value.$anchor === "string") this.#anchors.set(value.$anchor, value);
        rest.push(...Object.values(value));
      } else if (Array.isArray(value)) rest.push(...value);
    }
  }

  /** @throws PronkError "unsupported" for what is not in the schema. */
  resolve(reference: Json, path: string): Schema {
    if (typeof reference !== "string") throw unsupported(path, "$ref is no text");
    const hash = reference.indexOf("#");
    const document = hash < 0 ? reference : reference.slice(0, hash);
    if (document !== "" && document !== this.#id) {
      throw unsupported(path, `$ref ${reference} is outside the schema`);
    }
    const fragment = decodeFragment(hash < 0 ? "" : reference.slice(hash + 1));
    const anchored = this.#anchors.get(fragment);
    if (anchored !== undefined) return anchored;
    const found = fragment === "" ? this.#root : this.#follow(fragment);
    if (isSchema(found)) return found;
    throw unsupported(path, `$ref ${reference} leads nowhere`);
  }

  #follow(pointer: string): Json | undefined {
    const [start, ...names] = pointer.split("/");
    if (start !== "") return undefined;
    let value: Json | undefined = this.#root;
    for (const name of names) {
      const key = name.replaceAll("~1", "/").replaceAll("~0", "~");
      if (Array.isArray(value)) value = value[Number(key)];
      else value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    }
    return value;
  }
}

function decodeFragment(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}
