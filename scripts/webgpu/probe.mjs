// What Dawn's first adapter is, as JSON: node probe.mjs PATH_OF_WEBGPU
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { create } = await import(pathToFileURL(join(process.argv[2], "index.js")).href);
// Adapters die with it.
const gpu = create([]);
const { info } = await gpu.requestAdapter();
console.log(JSON.stringify({ adapter: `${info.device}: ${info.description}` }));
// Dawn keeps Node alive.
process.exit(0);
