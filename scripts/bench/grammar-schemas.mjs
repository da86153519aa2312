// Schemas that people send, with a question for a model and an example of an answer.
const text = { type: "string" };
const object = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

export const SCHEMAS = {
  classification: {
    schema: object({
      label: { type: "string", enum: ["positive", "negative", "neutral"] },
      confidence: { type: "number", minimum: 0, maximum: 1 },
    }),
    question: "Classify the sentiment: I love this lamp.",
    example: { label: "positive", confidence: 0.95 },
  },
  person: {
    schema: object({
      name: text,
      age: { type: "integer", minimum: 0, maximum: 150 },
      email: { type: "string", format: "email" },
      born: { type: "string", format: "date" },
      address: object({ street: text, city: text, country: text }),
      hobbies: { type: "array", items: text, maxItems: 5 },
    }),
    question: "Invent a person who lives in Lisbon.",
    example: {
      name: "Ana Costa",
      age: 41,
      email: "ana.costa@example.com",
      born: "1984-02-11",
      address: { street: "Rua Augusta 2", city: "Lisbon", country: "Portugal" },
      hobbies: ["sailing", "chess"],
    },
  },
  "recipe with steps": {
    schema: object({
      title: { type: "string", maxLength: 60 },
      servings: { type: "integer", minimum: 1, maximum: 12 },
      ingredients: {
        type: "array",
        minItems: 1,
        maxItems: 6,
        items: object({
          name: { type: "string", maxLength: 40 },
          grams: { type: "number", minimum: 0 },
        }),
      },
      vegetarian: { type: "boolean" },
    }),
    question: "Give me a recipe for a simple soup.",
    example: {
      title: "Leek soup",
      servings: 4,
      ingredients: [
        { name: "leek", grams: 400 },
        { name: "potato", grams: 300.5 },
      ],
      vegetarian: true,
    },
  },
  "union of actions": {
    schema: {
      type: "object",
      properties: {
        action: {
          anyOf: ["search", "open", "close", "wait"].map((kind) =>
            object({ kind: { type: "string", const: kind }, target: text }),
          ),
        },
      },
      required: ["action"],
      additionalProperties: false,
    },
    question: "Find me a good book about rivers.",
    example: { action: { kind: "search", target: "books about rivers" } },
  },
};
