#!/usr/bin/env node
/** The `pronk` command. What is here an old Node can read as well, and is told what it lacks; the rest it could not. */
import { oldNodeText } from "./node-version.ts";

const complaint = oldNodeText(process.versions.node);
if (complaint === undefined) await (await import("./start.ts")).start();
else {
  process.stderr.write(complaint);
  process.exitCode = 1;
}
