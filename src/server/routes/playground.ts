/** GET / and the files of its page: the playground. Public, since a browser's address bar sends no key. */
import * as z from "zod/mini";
import type { AppContext } from "../context.ts";
import type { Answer, Route } from "../operation.ts";
import type { PlaygroundFiles } from "../playground/files.ts";
import { HASHED_CACHING, PAGE_CACHING, PLAYGROUND_HEADERS } from "../playground/policy.ts";
import { unknownUrl } from "../routing.ts";
import { text } from "../schemas/answers.ts";

/** Of what the build writes; anything else is none of its files. */
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
};

const NAME = /^[\w-]+(?:\.[\w-]+)*\.([a-z]+)$/;

/** Of an ETag: more of the digest tells no more files apart. */
const TAG_BYTES = 16;

interface File {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tag: string;
}

/** The page where the app is mounted, with a slash at its end; and its files. */
export interface PlaygroundRoutes {
  readonly routes: Route[];
  /** Of the app's own root, which routers match with or without its slash. */
  readonly home: (c: AppContext) => Promise<Response>;
}

export function playgroundRoutes(files: PlaygroundFiles): PlaygroundRoutes {
  const kept = new Map<string, File>();
  const read = async (name: string): Promise<File | undefined> => {
    const known = kept.get(name);
    if (known !== undefined) return known;
    const bytes = await files.read(name);
    if (bytes === undefined) return undefined;
    const file = { bytes, tag: await tagOf(bytes) };
    kept.set(name, file);
    return file;
  };
  const send = async (c: AppContext, name: string, caching: string): Promise<Response> => {
    const type = TYPES[NAME.exec(name.replace("playground/", ""))?.[1] ?? ""];
    const found = type === undefined ? undefined : await read(name);
    if (found === undefined) throw unknownUrl(c);
    const headers = { ...PLAYGROUND_HEADERS, etag: found.tag, "cache-control": caching };
    for (const [header, value] of Object.entries(headers)) c.header(header, value);
    if (matches(c.req.header("if-none-match"), found.tag)) return c.body(null, 304);
    return c.body(found.bytes, 200, { "content-type": type! });
  };
  const home = async (c: AppContext): Promise<Response> => {
    const { pathname, search } = new URL(c.req.url);
    // The page's links are relative, so that it works below any path, whoever strips it.
    if (!pathname.endsWith("/")) {
      return c.redirect(`${pathname.slice(pathname.lastIndexOf("/") + 1)}/${search}`, 308);
    }
    return send(c, "index.html", PAGE_CACHING);
  };
  const routes: Route[] = [
    {
      path: "/",
      isPublic: true,
      methods: {
        GET: {
          summary: "The playground: a page to talk to the model",
          tag: "Operation",
          isStatic: true,
          answers: {
            200: fileAnswer("The page.", "text/html"),
            304: { description: "It is the one that the ETag names.", content: {} },
            308: { description: "It has a slash at its end.", content: {} },
          },
          handle: home,
        },
      },
    },
    {
      path: "/playground/:name",
      isPublic: true,
      methods: {
        GET: {
          summary: "A file of the playground",
          tag: "Operation",
          isStatic: true,
          parameters: { name: { description: "As the page names it." } },
          refusals: [404],
          answers: {
            200: { description: "The file.", content: fileContent() },
            304: { description: "It is the one that the ETag names.", content: {} },
          },
          handle: (c) => send(c, `playground/${c.req.param("name")}`, HASHED_CACHING),
        },
      },
    },
  ];
  return { routes, home };
}

async function tagOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).subarray(
    0,
    TAG_BYTES,
  );
  return `"${Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")}"`;
}

/** By RFC 9110, 13.1.2: any of the list, weak or not. */
function matches(asked: string | undefined, tag: string): boolean {
  if (asked === undefined) return false;
  return (
    asked.trim() === "*" || asked.split(",").some((one) => one.trim().replace(/^W\//, "") === tag)
  );
}

function fileContent(): Answer["content"] {
  const types = Object.values(TYPES).map((type) => type.replace(/;.*/, ""));
  return Object.fromEntries(types.map((type) => [type, z.string()]));
}

function fileAnswer(description: string, type: string): Answer {
  return { description, content: { [type]: text } };
}
