/**
 * The OpenAPI document as a page for people: headings, tables and nested lists, without scripts and without
 * anything from another host.
 */

import type { OpenApiDocument, OperationObject } from "./document.ts";
import type { JsonSchema } from "./json-schema.ts";

/** Nothing is loaded but the style that the page has in itself. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE = `
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:0 auto;padding:1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}
pre{overflow-x:auto;padding:.75rem;border:1px solid GrayText;border-radius:.25rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid GrayText}
section{margin:2rem 0}summary{cursor:pointer}a:focus,summary:focus{outline:2px solid}`;

export function renderPage(document: OpenApiDocument): string {
  const { info, tags, paths } = document;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const links = tags.map(
    ({ name }) =>
      `<li>${escapeHtml(name)}<ul>${operations
        .filter(({ operation }) => operation.tags.includes(name))
        .map(
          ({ path, method, operation }) =>
            `<li><a href="#${operation.operationId}"><code>${method.toUpperCase()} ${escapeHtml(path)}</code></a> ${escapeHtml(operation.summary)}</li>`,
        )
        .join("")}</ul></li>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(info.title)}: HTTP API</title><style>${STYLE}</style></head>
<body><header><h1>${escapeHtml(info.title)}: HTTP API</h1><p>${escapeHtml(info.description)}</p>
<p><a href="openapi.json">This as an OpenAPI 3.1 document</a>, version ${escapeHtml(info.version)}.</p></header>
<nav aria-label="Routes"><ul>${links.join("")}</ul></nav>
<main>${operations.map(({ path, method, operation }) => section(path, method, operation)).join("")}</main>
</body></html>
`;
}

function section(path: string, method: string, operation: OperationObject): string {
  const { operationId, summary, description, requestBody, parameters, responses, security } =
    operation;
  const body = requestBody?.content["application/json"]?.schema;
  return `<section aria-labelledby="${operationId}"><h2 id="${operationId}"><code>${method.toUpperCase()} ${escapeHtml(path)}</code></h2>
<p>${escapeHtml(summary)}.${description ? ` ${escapeHtml(description)}` : ""}${security.length > 0 ? " Needs an API key." : ""}</p>
${parameters ? `<h3>Parameters</h3><ul>${parameters.map((p) => `<li><code>${escapeHtml(p.name)}</code> (${p.in}): ${escapeHtml(p.description)}</li>`).join("")}</ul>` : ""}
${body ? `<h3>Body</h3>${fields(body)}` : ""}
<h3>Answers</h3><ul>${Object.entries(responses)
    .map(
      ([status, { description, content }]) =>
        `<li><strong>${status}</strong> ${escapeHtml(description)}${bodies(content)}</li>`,
    )
    .join("")}</ul></section>`;
}

function bodies(content: Readonly<Record<string, { readonly schema: JsonSchema }>>): string {
  return Object.entries(content)
    .map(([type, { schema }]) => {
      if (typeof schema.$ref === "string") return "";
      const { data } = (schema.properties ?? {}) as { data?: { anyOf?: JsonSchema[] } };
      const event = data?.anyOf?.find((one) => one.contentSchema !== undefined)?.contentSchema;
      const shown = (event ?? schema) as JsonSchema;
      return `<details><summary><code>${escapeHtml(type)}</code></summary>${fields(shown)}</details>`;
    })
    .join("");
}

/** A table of an object's fields; anything else in one line. */
function fields(schema: JsonSchema): string {
  if (schema.type !== "object" || schema.properties === undefined)
    return `<p>${typeText(schema)}</p>`;
  const required = new Set(schema.required as string[] | undefined);
  const rows = Object.entries(schema.properties as Record<string, JsonSchema>).map(
    ([name, field]) =>
      `<tr><th scope="row"><code>${escapeHtml(name)}</code></th><td>${required.has(name) ? "yes" : "no"}</td><td>${typeText(field)}</td></tr>`,
  );
  return `<table><thead><tr><th scope="col">Field</th><th scope="col">Required</th><th scope="col">Value</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

/** `integer, 1 to 128, or null`. */
function typeText(schema: JsonSchema): string {
  const options = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined;
  if (options) return options.map(typeText).join(" or ");
  if (schema.const !== undefined) return `<code>${escapeHtml(JSON.stringify(schema.const))}</code>`;
  if (Array.isArray(schema.enum)) {
    return schema.enum
      .map((value) => `<code>${escapeHtml(JSON.stringify(value))}</code>`)
      .join(" or ");
  }
  if (schema.type === "array") return `list of ${typeText(schema.items as JsonSchema)}`;
  if (schema.type === "object" && schema.properties !== undefined) {
    return `<details><summary>object</summary>${fields(schema)}</details>`;
  }
  if (schema.type === undefined) return "anything";
  return escapeHtml([schema.type].flat().join(" or ") + range(schema));
}

function range(schema: JsonSchema): string {
  const bound = (value: unknown): string =>
    typeof value !== "number" || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? "" : String(value);
  const low = bound(schema.minimum ?? schema.minLength);
  const high = bound(schema.maximum ?? schema.maxLength);
  const unit = schema.type === "string" && (low || high) ? " characters" : "";
  if (low && high) return `, ${low} to ${high}${unit}`;
  if (low) return `, at least ${low}${unit}`;
  return high ? `, at most ${high}${unit}` : "";
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
