/** A module of scripts/bench: plain JavaScript without declarations, since those run unbuilt. */
// biome-ignore lint/suspicious/noExplicitAny: as an import of anything that has no types is
export function script(name: string): Promise<any> {
  return import(new URL(`../../../scripts/bench/${name}.mjs`, import.meta.url).href);
}
