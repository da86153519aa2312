/** The formats of JSON Schema, as regular expressions of texts that have them: not every such text, but only such. */

// What repeats is followed by what it cannot be: one automaton then reads it, and finds its tokens once.
const LABEL = "[a-z0-9]{1,20}(-[a-z0-9]{1,20}){0,2}";
const HOST = `(${LABEL}\\.){1,4}[a-z]{2,6}`;
/** Without a limit of its length, which only hosts by themselves have. */
const DOMAIN = "([a-z0-9]+(-[a-z0-9]+)*\\.)+[a-z]{2,6}";
const OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
/** Every month has 28 days. */
const DATE =
  "[0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)";
const CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
const TIME = `${CLOCK}(\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])`;
const URI = `https?://${DOMAIN}(/[A-Za-z0-9._~-]+)*/?(\\?[A-Za-z0-9._~=&-]+)?(#[A-Za-z0-9._~-]+)?`;
const DURATION =
  "P([1-9][0-9]{0,3}D(T([1-9][0-9]{0,3}[HMS]))?|T[1-9][0-9]{0,3}[HMS]|[1-9][0-9]{0,3}[YMW])";
const EMAIL = `[a-z0-9_+-]+(\\.[a-z0-9_+-]+)*@${DOMAIN}`;
const IPV6 = "[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}";
const BASE64 = "([A-Za-z0-9+/]{4}){0,200}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?";
const uuid = (version: string): string =>
  `[0-9a-f]{8}-[0-9a-f]{4}-${version}[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`;

export const FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", DATE],
  ["time", TIME],
  ["date-time", `${DATE}T${TIME}`],
  ["duration", DURATION],
  ["email", EMAIL],
  ["hostname", HOST],
  ["ipv4", `${OCTET}(\\.${OCTET}){3}`],
  ["ipv6", IPV6],
  ["uri", URI],
  ["uri-reference", URI],
  ["iri", URI],
  ["iri-reference", URI],
  ["url", URI],
  ["uuid", uuid("[1-5]")],
  ["json-pointer", "(/[A-Za-z0-9_.-]{0,30}){0,8}"],
  ["jwt", "[A-Za-z0-9_-]{4,200}\\.[A-Za-z0-9_-]{4,400}\\.[A-Za-z0-9_-]{4,200}"],
  ["base64url", "([A-Za-z0-9_-]{4}){0,200}[A-Za-z0-9_-]{2,3}"],
  ["base64", BASE64],
  ["hex", "[0-9a-f]{2,64}"],
  ["e164", "\\+[1-9][0-9]{6,14}"],
  ["nanoid", "[A-Za-z0-9_-]{21}"],
  ["cuid", "c[0-9a-z]{24}"],
  ["cuid2", "[a-z][0-9a-z]{23}"],
  ["ulid", "[0-7][0-9A-HJKMNP-TV-Z]{25}"],
  ["mac", "[0-9a-f]{2}(:[0-9a-f]{2}){5}"],
  ["cidrv4", `${OCTET}(\\.${OCTET}){3}/([0-9]|[12][0-9]|3[0-2])`],
  ["ipv4network", `${OCTET}(\\.${OCTET}){3}/32`],
  ["cidrv6", `${IPV6}/(12[0-8]|1[01][0-9]|[1-9]?[0-9])`],
  ["ipvanyaddress", `${OCTET}(\\.${OCTET}){3}`],
  ["uuid1", uuid("1")],
  ["uuid3", uuid("3")],
  ["uuid4", uuid("4")],
  ["uuid5", uuid("5")],
  ["guid", uuid("[1-5]")],
  ["byte", BASE64],
]);

const BOUNDED_URI = `https?://${HOST}(/[A-Za-z0-9._~-]{1,60}){0,8}/?(\\?[A-Za-z0-9._~=&-]{1,100})?`;

/** Formats whose texts could be endless, for strings of limited lengths. */
export const BOUNDED_FORMATS: ReadonlyMap<string, string> = new Map([
  ["email", `[a-z0-9_+-]{1,30}(\\.[a-z0-9_+-]{1,30}){0,1}@${HOST}`],
  ...["uri", "uri-reference", "iri", "iri-reference", "url"].map(
    (name) => [name, BOUNDED_URI] as const,
  ),
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

/** What zod calls a string whose `pattern` says everything. */
export const PATTERN_FORMATS: ReadonlySet<string> = new Set([
  ...["cuid", "cuid2", "ulid", "nanoid", "xid", "ksuid", "guid", "emoji", "e164", "hex", "mac"],
  ...["base64", "base64url", "cidrv4", "cidrv6", "lowercase", "uppercase", "json_string"],
  ...["starts_with", "ends_with", "includes", "regex"],
]);

/**
 * zod's patterns beside a format, with a pattern whose texts have both: some are not regular as they are written, and
 * all are found sooner so.
 */
export const ZOD_PATTERNS: ReadonlyMap<string, { readonly format: string; readonly text: string }> =
  new Map([
    [
      String.raw`^(?:[A-Za-z0-9_'+\-]+\.)*[A-Za-z0-9_'+\-]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$`,
      { format: "email", text: EMAIL },
    ],
    [
      "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$",
      { format: "uuid", text: uuid("[1-5]") },
    ],
    [
      String.raw`^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))$`,
      { format: "date", text: DATE },
    ],
    [
      String.raw`^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))T(?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z))$`,
      { format: "date-time", text: `${DATE}T${CLOCK}(\\.[0-9]{1,6})?Z` },
    ],
    [
      String.raw`^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$`,
      { format: "duration", text: DURATION },
    ],
    [
      "^(([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|([0-9a-fA-F]{1,4}:){1,7}:|([0-9a-fA-F]{1,4}:){1,6}:[0-9a-fA-F]{1,4}|([0-9a-fA-F]{1,4}:){1,5}(:[0-9a-fA-F]{1,4}){1,2}|([0-9a-fA-F]{1,4}:){1,4}(:[0-9a-fA-F]{1,4}){1,3}|([0-9a-fA-F]{1,4}:){1,3}(:[0-9a-fA-F]{1,4}){1,4}|([0-9a-fA-F]{1,4}:){1,2}(:[0-9a-fA-F]{1,4}){1,5}|[0-9a-fA-F]{1,4}:((:[0-9a-fA-F]{1,4}){1,6})|:((:[0-9a-fA-F]{1,4}){1,7}|:))$",
      { format: "ipv6", text: IPV6 },
    ],
    [
      String.raw`^(?=[\s\S]*[\p{Extended_Pictographic}\p{Regional_Indicator}\u20E3])[\p{Extended_Pictographic}\p{Emoji_Component}]+$`,
      { format: "emoji", text: "[\u{1f600}-\u{1f64f}]{1,8}" },
    ],
    [
      String.raw`^(?=.{1,253}\.?$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-0-9a-zA-Z]{0,61}[0-9a-zA-Z])?)*\.?$`,
      { format: "hostname", text: HOST },
    ],
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
