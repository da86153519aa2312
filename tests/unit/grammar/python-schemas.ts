/** Schemas as pydantic's model_json_schema(), LangChain's tools and OpenAI's strict mode spell them, with a value of each. */

interface Fixture {
  readonly schema: object;
  readonly value: unknown;
}

const model = (
  title: string,
  properties: object,
  required: readonly string[],
  more = {},
): object => ({
  properties,
  required,
  title,
  type: "object",
  ...more,
});
const strict = (properties: object): object => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

export const PYTHON_SCHEMAS: Readonly<Record<string, Fixture>> = {
  "a model with defaults": {
    schema: model(
      "User",
      {
        id: { title: "Id", type: "integer" },
        name: { default: "John Doe", title: "Name", type: "string" },
        signup_ts: {
          anyOf: [{ format: "date-time", type: "string" }, { type: "null" }],
          default: null,
          title: "Signup Ts",
        },
      },
      ["id"],
    ),
    value: { id: 1, name: "x", signup_ts: null },
  },
  "a model in a model": {
    schema: {
      $defs: {
        Address: model("Address", { city: { title: "City", type: "string" } }, ["city"]),
      },
      ...model("Person", { home: { $ref: "#/$defs/Address" } }, ["home"]),
    },
    value: { home: { city: "Lisbon" } },
  },
  "a described reference": {
    schema: {
      $defs: { Color: { enum: ["red", "green"], title: "Color", type: "string" } },
      ...model(
        "Car",
        { color: { $ref: "#/$defs/Color", description: "of the paint", default: "red" } },
        [],
      ),
    },
    value: { color: "green" },
  },
  "a reference in allOf, as version 1": {
    schema: {
      definitions: { Color: { title: "Color", enum: [1, 2], type: "integer" } },
      ...model("Car", { color: { title: "C", allOf: [{ $ref: "#/definitions/Color" }] } }, [
        "color",
      ]),
    },
    value: { color: 2 },
  },
  "a discriminated union": {
    schema: {
      $defs: {
        Cat: model(
          "Cat",
          { pet: { const: "cat", title: "Pet", type: "string" }, lives: { type: "integer" } },
          ["pet", "lives"],
        ),
        Dog: model(
          "Dog",
          { pet: { const: "dog", title: "Pet", type: "string" }, barks: { type: "number" } },
          ["pet", "barks"],
        ),
      },
      ...model(
        "Owner",
        {
          pet: {
            discriminator: {
              mapping: { cat: "#/$defs/Cat", dog: "#/$defs/Dog" },
              propertyName: "pet",
            },
            oneOf: [{ $ref: "#/$defs/Cat" }, { $ref: "#/$defs/Dog" }],
            title: "Pet",
          },
        },
        ["pet"],
      ),
    },
    value: { pet: { pet: "dog", barks: 3.5 } },
  },
  "limits of numbers and texts": {
    schema: model(
      "Limits",
      {
        percent: { maximum: 100, minimum: 0, title: "Percent", type: "number" },
        count: { exclusiveMinimum: 0, title: "Count", type: "integer" },
        code: { maxLength: 8, minLength: 2, pattern: "^[A-Z0-9]+$", title: "Code", type: "string" },
        step: { multipleOf: 5, title: "Step", type: "integer" },
      },
      ["percent", "count", "code", "step"],
    ),
    value: { percent: 12.5, count: 3, code: "AB12", step: 15 },
  },
  "a decimal": {
    schema: model(
      "Price",
      {
        amount: {
          anyOf: [
            { type: "number" },
            { pattern: "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$", type: "string" },
          ],
          title: "Amount",
        },
      },
      ["amount"],
    ),
    value: { amount: "12.50" },
  },
  "a set": {
    schema: model(
      "Tags",
      { tags: { items: { type: "string" }, title: "Tags", type: "array", uniqueItems: true } },
      ["tags"],
    ),
    value: { tags: ["apple", "bear"] },
  },
  "a tuple": {
    schema: model(
      "Point",
      {
        at: {
          maxItems: 2,
          minItems: 2,
          prefixItems: [{ type: "number" }, { type: "number" }],
          title: "At",
          type: "array",
        },
      },
      ["at"],
    ),
    value: { at: [1, 2.5] },
  },
  "a dictionary": {
    schema: model(
      "Counts",
      { counts: { additionalProperties: { type: "integer" }, title: "Counts", type: "object" } },
      ["counts"],
    ),
    value: { counts: { a: 1 } },
  },
  "a closed model": {
    schema: model("Closed", { a: { type: "string" } }, ["a"], { additionalProperties: false }),
    value: { a: "x" },
  },
  "an address of the web": {
    schema: model(
      "Link",
      { url: { format: "uri", maxLength: 2083, minLength: 1, title: "Url", type: "string" } },
      ["url"],
    ),
    value: { url: "https://example.org/a" },
  },
  "a recursive model": {
    schema: {
      $defs: {
        Node: model(
          "Node",
          {
            value: { type: "integer" },
            children: { items: { $ref: "#/$defs/Node" }, type: "array", default: [] },
          },
          ["value"],
        ),
      },
      $ref: "#/$defs/Node",
    },
    value: { value: 1, children: [{ value: 2, children: [] }] },
  },
  "literals and optionals": {
    schema: model(
      "Job",
      {
        state: { enum: ["on", "off"], type: "string" },
        note: { anyOf: [{ type: "string" }, { type: "null" }] },
      },
      ["state", "note"],
    ),
    value: { state: "on", note: null },
  },
  "LangChain's tool of a function": {
    schema: {
      type: "object",
      title: "multiply",
      description: "Multiply two numbers.",
      properties: {
        a: { type: "integer", description: "first" },
        b: { type: "integer", description: "second" },
      },
      required: ["a", "b"],
    },
    value: { a: 2, b: 3 },
  },
  "strict mode: steps of an answer": {
    schema: strict({
      steps: {
        type: "array",
        items: strict({ explanation: { type: "string" }, output: { type: "string" } }),
      },
      final_answer: { type: "string" },
    }),
    value: { steps: [{ explanation: "a", output: "b" }], final_answer: "c" },
  },
  "strict mode: a user interface that calls itself": {
    schema: {
      ...strict({
        type: { type: "string", enum: ["div", "button"] },
        label: { type: "string" },
        children: { type: "array", items: { $ref: "#" } },
      }),
    },
    value: { type: "div", label: "", children: [{ type: "button", label: "x", children: [] }] },
  },
  "strict mode: optional by null": {
    schema: strict({
      location: { type: "string" },
      unit: { type: ["string", "null"], enum: ["F", "C", null] },
    }),
    value: { location: "Lisbon", unit: null },
  },
  "a condition": {
    schema: {
      type: "object",
      properties: { country: { enum: ["US", "CA"] }, code: { type: "string" } },
      required: ["country", "code"],
      if: { properties: { country: { const: "US" } }, required: ["country"] },
      // biome-ignore lint/suspicious/noThenProperty: the keyword's name
      then: { properties: { code: { pattern: "^[0-9]{5}$" } } },
      else: { properties: { code: { pattern: "^[A-Z][0-9][A-Z]$" } } },
    },
    value: { country: "CA", code: "K1M" },
  },
};
