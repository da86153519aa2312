// `_headers` beside a page, for hosts that read it: Cloudflare's Static Assets and Pages, Netlify.
import { HASHED_CACHING, PLAYGROUND_HEADERS } from "../../dist/src/server/playground/policy.js";

/** @param hashed paths of files whose names carry their hash: `/playground/*` */
export function headersFile(hashed) {
  const all = Object.entries(PLAYGROUND_HEADERS).map(([name, value]) => `  ${name}: ${value}`);
  const kept = hashed.map((path) => `\n${path}\n  cache-control: ${HASHED_CACHING}\n`);
  return `/*\n${all.join("\n")}\n${kept.join("")}`;
}
