/** GET /openapi.json, and GET /docs: what this server serves, for programs and for people. */
import * as z from "zod/mini";
import { createDocument, type OpenApiDocument } from "../openapi/document.ts";
import { PAGE_POLICY, renderPage } from "../openapi/page.ts";
import { jsonAnswer, type Route } from "../operation.ts";
import { text } from "../schemas/answers.ts";

/** Public: what can be asked is no secret, and a browser's address bar sends no key. */
export function openApiRoutes(others: readonly Route[], isKeyed: boolean): Route[] {
  let made: OpenApiDocument | undefined;
  let page: string | undefined;
  const document = (): OpenApiDocument => (made ??= createDocument([...others, ...own], isKeyed));
  const own: Route[] = [
    {
      path: "/openapi.json",
      isPublic: true,
      methods: {
        GET: {
          summary: "This API as an OpenAPI 3.1 document",
          tag: "Operation",
          isStatic: true,
          answers: {
            200: jsonAnswer("The document.", z.object({ openapi: z.literal("3.1.1") })),
          },
          handle: (c) => c.json(document()),
        },
      },
    },
    {
      path: "/docs",
      isPublic: true,
      methods: {
        GET: {
          summary: "This API as a page",
          tag: "Operation",
          isStatic: true,
          answers: { 200: { description: "The page.", content: { "text/html": text } } },
          handle: (c) => {
            c.header("content-security-policy", PAGE_POLICY);
            page ??= renderPage(document());
            // Its one link is relative, so that it holds wherever the app is mounted.
            return c.html(new URL(c.req.url).pathname.endsWith("/") ? oneFolderUp(page) : page);
          },
        },
      },
    },
  ];
  return own;
}

function oneFolderUp(page: string): string {
  return page.replace('href="openapi.json"', 'href="../openapi.json"');
}
