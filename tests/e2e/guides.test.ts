/** The guides, command by command, as somebody types them in an empty folder with the package installed. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/cli/runtimes.ts";
import { openDocument } from "../support/document-commands.ts";
import { reader } from "./reader.ts";

const follow = reader("guides", (text) => text.replaceAll(/\b87(\d\d)\b/g, "187$1"));

const guides = readdirSync(join(packageRoot(), "docs", "guides")).filter(
  (name) => name.endsWith(".md") && name !== "README.md",
);

test.for(guides)("%s", (name, { signal }) =>
  follow(openDocument(`docs/guides/${name}`), { signal }),
);

test("there are guides", () => expect(guides.length).toBeGreaterThan(8));
