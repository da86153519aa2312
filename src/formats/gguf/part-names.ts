/** The files of a split model, from the name of any of them. */

/** `model-00002-of-00003.gguf`; the folder and what comes before the numbers stay as they are. */
const PART_NAME = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/i;

/** Names of all parts, in order, as gguf-split writes them; undefined for any other name. */
export function ggufPartNames(name: string): string[] | undefined {
  const [, stem, number, count, extension] = PART_NAME.exec(name) ?? [];
  const parts = Number(count);
  // Also false for undefined.
  if (!(Number(number) >= 1 && Number(number) <= parts)) return undefined;
  return Array.from({ length: parts }, (_, i) => {
    return `${stem}-${String(i + 1).padStart(5, "0")}-of-${count}${extension}`;
  });
}
