/** The formats of JSON Schema, as regular expressions of texts that have them: not every such text, but only such. */

const LABEL = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?";
const HOST = `${LABEL}(\\.${LABEL}){0,3}\\.[a-z]{2,6}`;
const OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
/** Every month has 28 days. */
const DATE =
  "[0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)";
const CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
const TIME = `${CLOCK}(\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`;
const PATH = "(/[A-Za-z0-9._~-]{1,60}){0,8}/?";
const URI = `https?://${HOST}${PATH}(\\?[A-Za-z0-9._~=&-]{1,100})?(#[A-Za-z0-9._~-]{1,40})?`;

export const FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", DATE],
  ["time", TIME],
  ["date-time", `${DATE}T${TIME}`],
  [
    "duration",
    "P([1-9][0-9]{0,3}D(T([1-9][0-9]{0,3}[HMS]))?|T[1-9][0-9]{0,3}[HMS]|[1-9][0-9]{0,3}[YMW])",
  ],
  ["email", `[a-z0-9_]([a-z0-9_+-]{0,30}[a-z0-9_])?(\\.[a-z0-9_]{1,30}){0,2}@${HOST}`],
  ["hostname", HOST],
  ["ipv4", `${OCTET}(\\.${OCTET}){3}`],
  ["ipv6", "[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}"],
  ["uri", URI],
  ["uri-reference", URI],
  ["iri", URI],
  ["iri-reference", URI],
  ["url", URI],
  ["uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"],
  ["json-pointer", "(/[A-Za-z0-9_.-]{0,30}){0,8}"],
  ["byte", "([A-Za-z0-9+/]{4}){0,200}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"],
]);

/** Formats that say nothing about the text. */
export const FREE_FORMATS: ReadonlySet<string> = new Set([
  "password",
  "binary",
  "float",
  "double",
  "textarea",
  "markdown",
]);

/** Formats of integers: their least and largest. */
export const INTEGER_FORMATS: ReadonlyMap<string, readonly [number, number]> = new Map([
  ["int8", [-128, 127]],
  ["int16", [-32768, 32767]],
  ["int32", [-2147483648, 2147483647]],
  ["int64", [-9007199254740991, 9007199254740991]],
  ["uint8", [0, 255]],
  ["uint16", [0, 65535]],
  ["uint32", [0, 4294967295]],
  ["uint64", [0, 9007199254740991]],
]);
