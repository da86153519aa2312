// For processes that would measure for minutes: ends them when they have read their arguments, with what was read.
import { createRequire, syncBuiltinESMExports } from "node:module";

const util = createRequire(import.meta.url)("node:util");
const { parseArgs } = util;
util.parseArgs = (config) => {
  const found = parseArgs(config);
  // npm reads its own by other means; a bench's own process is the first that comes here.
  console.log(`read: ${JSON.stringify(found)}`);
  process.exit(0);
};
syncBuiltinESMExports();
