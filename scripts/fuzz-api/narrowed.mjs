// An OpenAPI document whose bodies reach the model: random names of models are all 404, and of thirty
// optional fields one is always wrong in a way that no schema says.

/** Short texts, whose tokens are few. */
const TEXT = { type: "string", minLength: 1, maxLength: 40, pattern: "^[ a-z\u00e9\u4e2d]+$" };

/** What stands for a field wherever it is. */
const FIELDS = {
  role: { enum: ["system", "user", "assistant"] },
  content: TEXT,
  prompt: {
    anyOf: [
      TEXT,
      {
        type: "array",
        items: { type: "integer", minimum: 0, maximum: 900 },
        minItems: 1,
        maxItems: 9,
      },
    ],
  },
  input: TEXT,
  query: TEXT,
  text: TEXT,
  n: { enum: [1, 2, null] },
  max_tokens: { enum: [1, 3, null] },
  max_completion_tokens: { enum: [1, 5, null] },
  lora: { enum: [[], null] },
};

/**
 * @param model the id that is served
 * @param file a file of the playground
 */
export function narrowed(document, model, file) {
  const copy = structuredClone(document);
  const [name] = copy.paths["/playground/{name}"].get.parameters;
  name.schema = { enum: [file] };
  for (const methods of Object.values(copy.paths)) {
    for (const { requestBody } of Object.values(methods)) {
      const body = requestBody?.content["application/json"];
      if (body?.schema.properties?.model) body.schema = variants(body.schema, model);
    }
  }
  return copy;
}

/** The required fields, alone or with one of the others. */
function variants(schema, model) {
  const required = schema.required ?? [];
  const properties = Object.fromEntries(
    Object.entries(schema.properties).map(([name, field]) => [name, FIELDS[name] ?? within(field)]),
  );
  properties.model = { enum: [model] };
  const base = Object.fromEntries(["model", ...required].map((name) => [name, properties[name]]));
  const optional = Object.keys(properties).filter((name) => !(name in base));
  return {
    anyOf: [undefined, ...optional].map((name) => ({
      type: "object",
      properties: name === undefined ? base : { ...base, [name]: properties[name] },
      required: [...Object.keys(base), ...(name === undefined ? [] : [name])],
      additionalProperties: false,
    })),
  };
}

/** The same for what is inside a field, without what nobody has to send. */
function within(schema) {
  if (Array.isArray(schema)) return schema.map(within);
  if (typeof schema !== "object" || schema === null) return schema;
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, within(value)]),
  );
  if (schema.type !== "object" || schema.properties === undefined) return copy;
  const required = new Set([...(schema.required ?? []), "content"]);
  const kept = Object.entries(schema.properties).filter(([name]) => required.has(name));
  return {
    ...copy,
    properties: Object.fromEntries(
      kept.map(([name, field]) => [name, FIELDS[name] ?? within(field)]),
    ),
    required: kept.map(([name]) => name),
    additionalProperties: false,
  };
}
