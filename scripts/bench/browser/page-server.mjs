// A server for one page: files, the page's setting, and the answer that the page sends back.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

const PAGE = fileURLToPath(new URL("./page.html", import.meta.url));
const PAGE_MODULES = fileURLToPath(new URL(".", import.meta.url));

/** A page sends figures, never data. */
const MAX_ANSWER_BYTES = 1 << 20;

/**
 * Serves on 127.0.0.1 until it is closed. `/` is the page, `/page/` its modules, `/setting.json`
 * the setting; `POST /answer` is the answer.
 *
 * @param mounts from a path to a file, or from a path that ends with a slash to a folder
 * @param setting with `isolated`, the page may share memory with its workers
 * @returns `url`; `answer`, a promise of what the page sends (it rejects with the page's error);
 *   and `close`.
 */
export async function servePage(setting, mounts) {
  const all = new Map([...Object.entries(mounts), ["/", PAGE], ["/page/", PAGE_MODULES]]);
  let settle;
  const answer = new Promise((resolve, reject) => {
    settle = { resolve, reject };
  });
  // It may come to nothing while nobody waits for it yet.
  answer.catch(() => {});

  const server = createServer(async (request, response) => {
    if (setting.isolated) {
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader("cross-origin-embedder-policy", "require-corp");
    }
    try {
      const { pathname } = new URL(request.url, "http://127.0.0.1");
      if (request.method === "POST" && pathname === "/answer") {
        const { error, ...rest } = await readAnswer(request);
        response.writeHead(204).end();
        if (error === undefined) settle.resolve(rest);
        else settle.reject(new Error(`page: ${error}`));
      } else if (pathname === "/setting.json") {
        response.writeHead(200, { "content-type": TYPES[".json"] }).end(JSON.stringify(setting));
      } else {
        await sendFile(request, response, mountedFile(all, pathname));
      }
    } catch {
      // The browser has gone, or asked for what is none of its business.
      if (!response.headersSent) response.writeHead(400);
      response.end();
    }
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/** undefined where nothing is mounted, and for what would leave its folder. */
export function mountedFile(mounts, pathname) {
  const exact = mounts.get(pathname);
  if (exact !== undefined) return exact;
  const folders = [...mounts.keys()].filter((key) => key.length > 1 && key.endsWith("/"));
  const found = folders
    .filter((key) => pathname.startsWith(key))
    .sort((a, b) => b.length - a.length)[0];
  if (found === undefined) return undefined;
  const rest = normalize(decodeURIComponent(pathname.slice(found.length)));
  if (rest.startsWith("..") || rest.includes("\0") || rest.startsWith(sep)) return undefined;
  return join(mounts.get(found), rest);
}

/** The half-open byte range that a Range header asks for; undefined for all of it. */
export function byteRange(header, size) {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(header ?? "") ?? [];
  if (from === undefined || Number(from) >= size) return undefined;
  return { start: Number(from), end: to ? Math.min(Number(to) + 1, size) : size };
}

async function sendFile(request, response, file) {
  const stat = file && statSync(file, { throwIfNoEntry: false });
  if (!stat?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  const range = byteRange(request.headers.range, stat.size);
  const { start, end } = range ?? { start: 0, end: stat.size };
  response.writeHead(range ? 206 : 200, {
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "content-length": end - start,
    "accept-ranges": "bytes",
    "cache-control": "no-store",
    ...(range && { "content-range": `bytes ${start}-${end - 1}/${stat.size}` }),
  });
  if (request.method === "HEAD" || start === end) response.end();
  // Reads of 1 MiB: the default of 64 KiB would make the server a part of what is measured.
  else
    await pipeline(
      createReadStream(file, { start, end: end - 1, highWaterMark: 1 << 20 }),
      response,
    );
}

async function readAnswer(request) {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > MAX_ANSWER_BYTES) throw new Error("too long");
  }
  return JSON.parse(text);
}
