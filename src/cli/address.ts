/** Addresses of models in what is shown and kept: a user, a query or what follows # may be a credential. */
import { shownUrl } from "../hub/remote.ts";

/** What a model's name ends with: a file, a folder, a repository. */
export function lastPart(model: string): string {
  const place = isUrl(model) ? shownUrl(model) : model;
  return place.split(/[\\/]/).filter(Boolean).at(-1) ?? place;
}

/** The name as it can be typed again; `URL` stands for one that may hold a credential. */
export function typedAgain(model: string): string {
  if (!isUrl(model)) return model;
  const { username, password, search } = new URL(model);
  return username || password || search ? "URL" : model;
}

function isUrl(model: string): boolean {
  return /^https?:\/\//.test(model) && URL.canParse(model);
}
