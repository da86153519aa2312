/**
 * The OpenAPI 3.1 document of an app, made of its routes: what is served is described, with the schemas
 * that validate, and nothing else is. Source: https://spec.openapis.org/oas/v3.1.1.html
 */
import type * as z from "zod/mini";
import { type Answer, type Operation, pathTemplate, type Route } from "../operation.ts";
import { errorAnswer } from "../schemas/answers.ts";
import { type JsonSchema, toJsonSchema } from "./json-schema.ts";

/** The parts of a document that the page reads. */
export interface OpenApiDocument {
  readonly openapi: "3.1.1";
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface OperationObject {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly ParameterObject[];
  readonly requestBody?: { readonly required: true; readonly content: Content };
  readonly responses: Readonly<Record<string, ResponseObject>>;
}

export interface ParameterObject {
  readonly name: string;
  readonly in: "path" | "query";
  readonly required: boolean;
  readonly description: string;
  readonly schema: JsonSchema;
}

export interface ResponseObject {
  readonly description: string;
  readonly content: Content;
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>;
}

type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>;

/** Of the HTTP interface: raised when clients would notice. */
const INTERFACE_VERSION = "1.0.0";

const REFUSALS: Readonly<Record<number, string>> = {
  400: "The request is wrong: `param` names the field.",
  401: "No API key, or an unknown one.",
  403: "The key, or this server, does not allow this.",
  404: "No such model, adapter or object.",
  409: "Not while something else holds it.",
  413: "The body or the prompt is larger than this server takes.",
  422: "Understood, but not possible.",
  429: "Too many requests or tokens, or the queue is full: after Retry-After again.",
  500: "The engine failed.",
  503: "The model is loading, or storage does not answer: after Retry-After again.",
};

/** @param isKeyed whether routes that are not public need a key. */
export function createDocument(routes: readonly Route[], isKeyed: boolean): OpenApiDocument {
  const tags = new Set(routes.flatMap(({ methods }) => Object.values(methods).map((m) => m.tag)));
  return {
    openapi: "3.1.1",
    info: {
      title: "pronk",
      version: INTERFACE_VERSION,
      description:
        "A small Llama model behind an OpenAI-compatible API. Unknown fields are ignored; null is the same as absent.",
    },
    // From where the document is: also below the path of a mounted app, or behind a proxy that cuts one off.
    servers: [{ url: "." }],
    tags: [...tags].map((name) => ({ name })),
    paths: Object.fromEntries(
      routes.map((route) => [
        pathTemplate(route),
        Object.fromEntries(
          Object.entries(route.methods).map(([method, operation]) => [
            method.toLowerCase(),
            describe(route, method, operation, isKeyed && route.isPublic !== true),
          ]),
        ),
      ]),
    ),
    components: {
      schemas: { Error: toJsonSchema(errorAnswer) },
      headers: {
        RequestId: {
          description: "The request's own x-request-id where it has a sane one, else a new one.",
          required: true,
          schema: { type: "string" },
        },
      },
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        xApiKey: { type: "apiKey", in: "header", name: "x-api-key" },
        apiKey: { type: "apiKey", in: "header", name: "api-key" },
      },
    },
  };
}

function describe(
  route: Route,
  method: string,
  operation: Operation,
  isKeyed: boolean,
): OperationObject {
  const { summary, description, tag, body, answers } = operation;
  const parameters = parametersOf(route, operation);
  return {
    operationId: operationId(method, route),
    summary,
    ...(description !== undefined && { description }),
    tags: [tag],
    security: isKeyed ? [{ bearer: [] }, { xApiKey: [] }, { apiKey: [] }] : [],
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: {
        required: true,
        content: { "application/json": { schema: toJsonSchema(body) } },
      },
    }),
    responses: {
      ...Object.fromEntries(
        refusalsOf(route, operation, isKeyed).map((status) => [status, refusal(status, route)]),
      ),
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, response(answer)]),
      ),
    },
  };
}

function parametersOf(route: Route, { parameters = {} }: Operation): ParameterObject[] {
  const inPath = [...pathTemplate(route).matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  return Object.entries(parameters).map(([name, { description, schema }]) => ({
    name,
    in: inPath.includes(name) ? "path" : "query",
    required: inPath.includes(name),
    description,
    schema: schema === undefined ? { type: "string", minLength: 1 } : toJsonSchema(schema),
  }));
}

function refusalsOf(route: Route, operation: Operation, isKeyed: boolean): number[] {
  const { body, refusals = [], isStatic } = operation;
  return [
    ...new Set([
      ...(body === undefined ? [] : [400, 413]),
      ...(isKeyed ? [401, 403, 429] : []),
      ...refusals,
      ...(isStatic ? [] : [500, 503]),
      // The engine's queue, which keyless servers have, too.
      ...(isStatic || route.isPublic || body === undefined ? [] : [429]),
    ]),
  ].sort((a, b) => a - b);
}

function refusal(status: number, { errors }: Route): ResponseObject {
  return {
    description: REFUSALS[status] ?? "Refused.",
    content: {
      "application/json": {
        schema:
          errors === undefined
            ? { $ref: "#/components/schemas/Error" }
            : toJsonSchema(errors.schema),
      },
    },
    headers: HEADERS,
  };
}

const HEADERS = { "x-request-id": { $ref: "#/components/headers/RequestId" } };

function response({ description, content }: Answer): ResponseObject {
  return {
    description,
    content: Object.fromEntries(
      Object.entries(content).map(([type, schema]) => [type, media(type, schema)]),
    ),
    headers: HEADERS,
  };
}

/** Of a stream of events: what each one is, as OpenAPI 3.2 spells it and tools for 3.1 read it. */
function media(type: string, schema: z.core.$ZodType): { schema: JsonSchema } {
  const converted = toJsonSchema(schema);
  if (type !== "text/event-stream") return { schema: converted };
  const json = { contentMediaType: "application/json", contentSchema: converted };
  const data = { type: "string", anyOf: [{ const: "[DONE]" }, json] };
  const properties = { event: { type: "string" }, data };
  return { schema: { type: "object", properties, required: ["data"] } };
}

/** `postV1ChatCompletions`. */
function operationId(method: string, route: Route): string {
  const words = pathTemplate(route)
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== "");
  return method.toLowerCase() + words.map((w) => w[0]?.toUpperCase() + w.slice(1)).join("");
}
