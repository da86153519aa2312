/** Which web pages may ask a server, and under which names: --cors, --allowed-hosts. */
import type { AppOptions } from "../server/app.ts";
import { isLoopbackName } from "../server/hosts.ts";
import { textOption, UsageError } from "./arguments.ts";
import type { Arguments, CliContext, OptionSpecs } from "./command.ts";
import { hostnameOf } from "./listening.ts";

const ANY = "any";
const NONE = "none";
const LOCAL = "local";

export const CROSS_SITE_OPTIONS: OptionSpecs = {
  cors: {
    type: "string",
    value: "WHO",
    help: `${ANY}, ${NONE}, ${LOCAL} or origins with commas between: whose pages may ask; default ${ANY} with keys, else ${LOCAL}`,
    group: "Who may use it",
  },
  "allowed-hosts": {
    type: "string",
    value: "NAMES",
    help: `${ANY}, or with commas between: what it is called; default ${ANY}, on this machine without keys localhost`,
    group: "Who may use it",
  },
};

/**
 * Without keys a page that somebody reads here could ask in their name: so by default pages of this machine alone may,
 * and where nothing else is listened on, under its own names alone.
 *
 * @throws UsageError
 */
export function crossSiteOptions(
  input: Arguments,
  cli: Pick<CliContext, "env">,
  hasKeys: boolean,
): Required<Pick<AppOptions, "cors">> & Pick<AppOptions, "hosts"> {
  const hosts = hostsOf(textOption(input, "allowed-hosts"));
  const isNamed = hosts === undefined && !hasKeys && listensHereAlone(input, cli);
  return {
    cors: { origins: originsOf(textOption(input, "cors") ?? (hasKeys ? ANY : LOCAL)) },
    ...(Array.isArray(hosts) && { hosts }),
    ...(isNamed && { hosts: [] }),
  };
}

/** Nothing but what runs on this machine can connect. */
export function listensHereAlone(input: Arguments, cli: Pick<CliContext, "env">): boolean {
  const hostname = hostnameOf(input, cli);
  return isLoopbackName(hostname.includes(":") ? `[${hostname}]` : hostname);
}

function originsOf(text: string): "*" | "loopback" | readonly string[] {
  if (text === ANY || text === "*") return "*";
  if (text === LOCAL) return "loopback";
  if (text === NONE) return [];
  return text.split(",").map((part) => {
    const origin = part.trim();
    if (URL.canParse(origin) && new URL(origin).origin === origin) return origin;
    throw new UsageError(`--cors ${text}: expected origins such as https://example.com`);
  });
}

function hostsOf(text: string | undefined): readonly string[] | typeof ANY | undefined {
  if (text === undefined || text === ANY) return text;
  return text.split(",").map((part) => {
    const name = part.trim();
    if (/^(?:[\w.-]+|\[[\da-f:.]+\])$/i.test(name)) return name;
    throw new UsageError(`--allowed-hosts ${text}: expected names or addresses without ports`);
  });
}
