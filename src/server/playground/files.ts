/** Where the playground's files come from: each platform's entry knows. */

/** `index.html`, and the files in `playground/` that it names, as scripts/build-playground.mjs wrote them. */
export interface PlaygroundFiles {
  /**
   * All of a file; undefined where there is none of this name.
   *
   * @param name as asked for by whoever asks: `playground/server-page-5Y5YR3Q5.js`
   */
  read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
}
