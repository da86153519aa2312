/** docs/reference/http.md, from the OpenAPI document that a server serves. */
import type {
  OpenApiDocument,
  OperationObject,
  ResponseObject,
} from "../../src/server/openapi/document.ts";
import { limitsOf, type Nulls, type Schema, typeOf, variantsOf } from "./schema-type.ts";

/** Types that are longer stand in a block of their own below the table. */
const MAX_CELL = 160;

/** @param document of a server with keys: everything that may be refused is in it. */
export function httpReference(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      title: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );
  const sections = document.tags.map(({ name }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    const texts = own.map(({ title, operation }) => operationText(title, operation));
    return `## ${name}\n\n${texts.join("\n")}`;
  });
  const refusals = new Map(
    operations.flatMap(({ operation }) =>
      Object.entries(operation.responses)
        .filter(([status]) => Number(status) >= 400)
        .map(([status, { description }]) => [status, description] as const),
    ),
  );
  const rows = [...refusals].sort().map(([status, text]) => `| ${status} | ${text} |`);
  return `# HTTP reference

Every route that a server answers, from the OpenAPI 3.1 document that it serves at \`/openapi.json\` (as a page at \`/docs\`). What they mean is in [the HTTP API](../server.md).
Unknown fields are ignored; null is the same as absent. Fields with \`?\` may be left out.
With keys, \`authorization: Bearer KEY\`, \`x-api-key\` or \`api-key\` goes with every request but those to routes marked *public*.

## Refusals

Every refusal is \`${typeOf(document.components.schemas?.Error as Schema, "nulls")}\`; Ollama's and Anthropic's routes have the forms of their own APIs.
Every answer has \`x-request-id\`.

| status | |
|---|---|
${rows.join("\n")}

${sections.join("\n")}`;
}

function operationText(title: string, operation: OperationObject): string {
  const { summary, description, parameters = [], requestBody, responses, security } = operation;
  const parts = [
    `### ${title}\n\n${summary}.${description ? ` ${description}` : ""}${security.length === 0 ? " *Public.*" : ""}\n`,
  ];
  if (parameters.length > 0) {
    const rows = parameters.map(({ name, in: place, required, description: what, schema }) => {
      const limits = limitsOf(schema as Schema);
      return `| \`${name}\` | ${place} | \`${cell(typeOf(schema as Schema))}\`${limits ? `, ${limits}` : ""} | ${required ? "" : "optional. "}${cell(what)} |`;
    });
    parts.push(`| parameter | in | type | |\n|---|---|---|---|\n${rows.join("\n")}\n`);
  }
  const body = requestBody?.content["application/json"]?.schema as Schema | undefined;
  if (body !== undefined) parts.push(bodyText(body));
  const refused = Object.keys(responses).filter((status) => Number(status) >= 400);
  for (const [status, response] of Object.entries(responses)) {
    if (!refused.includes(status)) parts.push(answerText(status, response));
  }
  if (refused.length > 0) parts.push(`Refused with ${refused.join(", ")}.\n`);
  return parts.join("\n");
}

function bodyText(body: Schema): string {
  const variants = variantsOf(body);
  // Of several forms, each has all that the others share.
  const properties: Record<string, Schema> = Object.assign(
    {},
    ...variants.map((one) => one.properties),
  );
  const required = new Set(
    Object.keys(properties).filter((name) => variants.every((one) => one.required?.includes(name))),
  );
  const long: string[] = [];
  const rows = Object.entries(properties)
    .sort(([a], [b]) => Number(required.has(b)) - Number(required.has(a)))
    .map(([name, schema]) => {
      const type = typeOf(schema);
      const isLong = type.length > MAX_CELL;
      if (isLong) long.push(`${name}: ${breakUp(schema, "", "no nulls")}`);
      const limits = [isLong ? "below" : "", limitsOf(schema), schema.description ?? ""].filter(
        Boolean,
      );
      return `| \`${name}${required.has(name) ? "" : "?"}\` | ${isLong ? "" : `\`${cell(type)}\``} | ${cell(limits.join("; "))} |`;
    });
  const blocks = long.length === 0 ? "" : `\n\`\`\`ts\n${long.join("\n")}\n\`\`\`\n`;
  return `| field of the body | type | |\n|---|---|---|\n${rows.join("\n")}\n${blocks}`;
}

function answerText(status: string, { description, content }: ResponseObject): string {
  const forms = Object.entries(content).map(([type, { schema }]) => {
    const said = `**${status}**, \`${type}\`: ${description.replace(/\.$/, "")}.`;
    if (!/json|event-stream/.test(type)) return `${said}\n`;
    const answer = type === "text/event-stream" ? eventOf(schema as Schema) : (schema as Schema);
    return `${said}\n\n\`\`\`ts\n${breakUp(answer, "", "nulls")}\n\`\`\`\n`;
  });
  return forms.join("\n");
}

/** What the data of each event of a stream is. */
const eventOf = (schema: Schema): Schema => schema.properties?.data ?? schema;

/** A type over several lines, a field in each. */
function breakUp(schema: Schema, indent: string, nulls: Nulls): string {
  const texts = variantsOf(schema, nulls).map((one) => {
    if (one.contentSchema !== undefined) return breakUp(one.contentSchema, indent, nulls);
    const whole = typeOf(one, nulls);
    if (indent.length + whole.length <= 100) return whole;
    if (one.type === "array" && one.items !== undefined)
      return `(${breakUp(one.items, indent, nulls)})[]`.replace(/^\((\{[^|]*\})\)\[\]$/s, "$1[]");
    if (one.properties === undefined) return whole;
    const required = new Set(one.required);
    const inner = `${indent}  `;
    const fields = Object.entries(one.properties).map(
      ([field, value]) =>
        `${inner}${field}${required.has(field) ? "" : "?"}: ${breakUp(value, inner, nulls)}`,
    );
    return `{\n${fields.join(",\n")}\n${indent}}`;
  });
  return [...new Set(texts)].join(`\n${indent}| `) || "null";
}

/** A table's cell cannot hold a bar or a line's end. */
const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
