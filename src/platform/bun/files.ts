/** node:fs, also on Bun: slices of Bun.file copy, and were 2 to 3 times slower into a kernel's memory. */
export { openFile, readFile } from "../node/files.ts";
