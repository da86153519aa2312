/** What a client validates with: ajv of the draft that a schema names, with its formats. */
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";

/** pydantic's and OpenAPI's names of what ajv-formats knows otherwise. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** @returns what is wrong with a text; undefined: nothing */
export function schemaValidator(schema: object): (text: string) => string | undefined {
  const text = JSON.stringify(schema);
  const isOld = text.includes("draft-07") || text.includes('"definitions"');
  const options = { strict: false, code: { optimize: false }, logger: false } as const;
  const ajv = isOld ? new Ajv(options) : new Ajv2020(options);
  formats.default(ajv);
  ajv.addFormat("uuid4", UUID);
  const validate = ajv.compile(schema);
  return (output) => {
    let value: unknown;
    try {
      value = JSON.parse(output);
    } catch (error) {
      return String(error);
    }
    return validate(value) ? undefined : ajv.errorsText(validate.errors);
  };
}
