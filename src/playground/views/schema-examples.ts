/** Schemas to begin with, each with a question that fits it. */

export interface SchemaExample {
  readonly name: string;
  readonly prompt: string;
  readonly schema: object;
}

const text = { type: "string" } as const;

export const SCHEMA_EXAMPLES: readonly SchemaExample[] = [
  {
    name: "A person from a sentence",
    prompt: "Alan Turing was born in 1912 in London. He was a mathematician.",
    schema: {
      type: "object",
      properties: {
        name: { type: "string", maxLength: 40 },
        born: { type: "integer", minimum: 1000, maximum: 2100 },
        city: { type: "string", maxLength: 40 },
        occupation: { type: "string", maxLength: 40 },
      },
      required: ["name", "born", "city", "occupation"],
      additionalProperties: false,
    },
  },
  {
    name: "A review's mood",
    prompt: "The food was cold, and we waited for an hour. We will not come back.",
    schema: {
      type: "object",
      properties: {
        mood: { enum: ["positive", "neutral", "negative"] },
        stars: { type: "integer", minimum: 1, maximum: 5 },
      },
      required: ["mood", "stars"],
      additionalProperties: false,
    },
  },
  {
    name: "A list of three",
    prompt: "Name three animals that live in the sea.",
    schema: {
      type: "array",
      items: { type: "string", maxLength: 20 },
      minItems: 3,
      maxItems: 3,
    },
  },
  {
    name: "One of several shapes",
    prompt: "Remind me to call Ada tomorrow at nine.",
    schema: {
      anyOf: [
        {
          type: "object",
          properties: {
            action: { const: "remind" },
            what: { ...text, maxLength: 40 },
            when: { ...text, maxLength: 20 },
          },
          required: ["action", "what", "when"],
          additionalProperties: false,
        },
        {
          type: "object",
          properties: { action: { const: "nothing" } },
          required: ["action"],
          additionalProperties: false,
        },
      ],
    },
  },
];
