/**
 * The headers that the playground's files are sent with, wherever they are: by createApp, by Workers' Static
 * Assets and by static hosts (`_headers`, which scripts/build-playground.mjs writes).
 */

/**
 * Nothing from any other host, no script or style in the text, no eval; WebAssembly may be compiled, and
 * a worker of the page's own started, for the engine in the tab.
 */
export const PLAYGROUND_POLICY: string = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Of every file. The two policies of origins isolate the page: without them it has no shared memory, so no threads. */
export const PLAYGROUND_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": PLAYGROUND_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

/** Of files whose names carry the hash of what is in them. */
export const HASHED_CACHING = "public, max-age=31536000, immutable";

/** Of the page itself: kept, and asked about every time. */
export const PAGE_CACHING = "no-cache";
