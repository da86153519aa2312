/** Whether the Node that runs this is new enough. Deno and Bun name one that is. */

/** As package.json's engines say it. */
export const LEAST_NODE = "20.11";

/** What is wrong and what to do, two lines; undefined where nothing is. */
export function oldNodeText(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = LEAST_NODE.split(".").map(Number);
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return undefined;
  return `pronk: this is Node ${version}, and it needs ${LEAST_NODE} or later\nnext: https://nodejs.org has the newest; with nvm: nvm install --lts\n`;
}
