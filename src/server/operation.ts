/** What a route's method does, for the router and for the OpenAPI document alike. */
import type * as z from "zod/mini";
import type { AppContext } from "./context.ts";
import type { ErrorReply } from "./errors.ts";

export type Handler = (c: AppContext) => Response | Promise<Response>;

/** What a success is made of, by media type; of a stream the schema is that of each event's JSON. */
export interface Answer {
  readonly description: string;
  readonly content: Readonly<Record<string, z.core.$ZodType>>;
}

export interface Operation {
  readonly handle: Handler;
  /** A line for people: `Answer a chat`. */
  readonly summary: string;
  /** Sentences, where the line does not say enough. */
  readonly description?: string;
  /** Under which heading it is found: `Generation`. */
  readonly tag: string;
  /** The schema that the handler validates with. Absent: no body is read. */
  readonly body?: z.core.$ZodType;
  /** By status, errors not counted, unless their body is another than the envelope. */
  readonly answers: Readonly<Record<number, Answer>>;
  /**
   * Statuses of refusals beside those that follow from the rest: 400 and 413 of a body, 401, 403 and 429 of
   * what needs a key, 500 and 503 of what needs the model.
   */
  readonly refusals?: readonly number[];
  /** What parts of the path and query parameters are, by name; those of the path are strings. */
  readonly parameters?: Readonly<Record<string, Parameter>>;
  /** Answers without the model: no 500, no 503 beside those of `answers`. */
  readonly isStatic?: boolean;
}

export interface Parameter {
  readonly description: string;
  /** Default: any text. */
  readonly schema?: z.core.$ZodType;
}

/** How an API of another family spells what is no success. */
export interface ErrorForm {
  readonly schema: z.core.$ZodType;
  /** The body; it may set headers, too. */
  spell(reply: ErrorReply, c: AppContext): unknown;
}

/** One path and its methods. */
export interface Route {
  /** In Hono's syntax. */
  readonly path: string;
  /** Answers without a key. */
  readonly isPublic?: boolean;
  /** Default: OpenAI's envelope. */
  readonly errors?: ErrorForm;
  readonly methods: Readonly<Partial<Record<"GET" | "POST" | "DELETE", Operation>>>;
}

/** An answer of one JSON schema. */
export function jsonAnswer(description: string, schema: z.core.$ZodType): Answer {
  return { description, content: { "application/json": schema } };
}

/** The path as OpenAPI writes it, `/v1/models/{id}`, which also names the route in metrics and logs. */
export function pathTemplate({ path }: Pick<Route, "path">): string {
  return path.replace(/:(\w+)(?:\{[^}]*\})?/g, "{$1}");
}
