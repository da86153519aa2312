// Copies the documents to where the generator reads them. Links stay as they are written for GitHub in the sources; here
// they are led to the pages: those to other files of the repository to a page that shows the file.
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, extname, join, posix } from "node:path";
import { documents, filesOf, placeOf, root } from "./pages.mjs";

const LANGUAGES = {
  ".conf": "nginx",
  ".js": "js",
  ".json": "json",
  ".mjs": "js",
  ".py": "py",
  ".toml": "toml",
  ".ts": "ts",
  ".tsx": "tsx",
  ".yaml": "yaml",
  ".html": "html",
};
const IMAGES = new Set([".svg", ".png"]);

const write = (path, text) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

/** A file as a fenced block; its own fences cannot end it. */
const block = (file) => {
  const text = readFileSync(join(root, file), "utf8").trimEnd();
  const fence = "`".repeat(Math.max(3, ...(text.match(/`{3,}/g) ?? []).map((m) => m.length + 1)));
  const language = LANGUAGES[extname(file)] ?? (file.endsWith("Dockerfile") ? "docker" : "text");
  return `${fence}${language}\n${text}\n${fence}\n`;
};

/** The first page with what it takes from the README: its first commands, and what a bench wrote into it. */
function withReadme(home) {
  const { text } = documents.find(({ file }) => file === "README.md");
  const parts = {
    "its first commands": /^```sh\n[\s\S]*?^```$/m.exec(text)?.[0],
    peers: /<!-- peers:begin -->\n([\s\S]*?)\n<!-- peers:end -->/
      .exec(text)?.[1]
      .replace(/\.$/, "")
      .split("; ")
      .map((part) => `- ${part}`)
      .join("\n"),
  };
  return home.replace(/<!-- README: ([\w ]+) -->/g, (_, name) => {
    if (parts[name] === undefined) throw new Error(`README.md: it has no ${name}`);
    return parts[name];
  });
}

/** Writes every page below `folder`, which is empty. */
export function stage(folder) {
  const shown = new Set();
  /** Where a link of a document leads on the site; undefined: nowhere, its text stays. */
  const lead = (file, place, target) => {
    const [path, anchor] = target.split("#");
    if (path === "" || /^[a-z]+:/.test(path)) return target;
    const wanted = posix.join(posix.dirname(file), path);
    const stats = statSync(join(root, wanted), { throwIfNoEntry: false });
    if (stats === undefined) return target; // the generator says that it is dead
    if (stats.isDirectory()) return undefined;
    let to = placeOf(wanted);
    if (to === undefined && IMAGES.has(extname(wanted))) {
      to = posix.join("pictures", wanted);
      mkdirSync(dirname(join(folder, to)), { recursive: true });
      cpSync(join(root, wanted), join(folder, to));
    }
    if (to === undefined) {
      to = `files/${wanted}.md`;
      shown.add(wanted);
    }
    const relative = posix.relative(posix.dirname(place), to);
    return `${relative.startsWith(".") ? "" : "./"}${relative}${anchor ? `#${anchor}` : ""}`;
  };
  const led = ({ file, place, text }) =>
    outsideCode(text, (part) =>
      part.replace(/(!?)\[((?:[^\][]|\[[^\]]*\])*)\]\(([^)\s]+)\)/g, (_, image, label, target) => {
        const to = lead(file, place, target);
        const inner = image
          ? label
          : label.replace(/!\[([^\]]*)\]\(([^)\s]+)\)/g, (_all, alt, source) => {
              return `![${alt}](${lead(file, place, source)})`;
            });
        return to === undefined ? inner : `${image}[${inner}](${to})`;
      }),
    );
  for (const document of documents) {
    const { place } = document;
    const example = /^examples\/([\w-]+)\.md$/.exec(place)?.[1];
    const sources = example && example !== "index" ? filesOf(`examples/${example}`) : [];
    const more = sources.map(
      (file) => `### ${file.slice(`examples/${example}/`.length)}\n\n${block(file)}`,
    );
    const text = led(document) + (more.length ? `\n## Its files\n\n${more.join("\n")}` : "");
    write(join(folder, place), text);
  }
  for (const file of shown) {
    write(
      join(folder, `files/${file}.md`),
      `---\nsearch: false\n---\n\n# ${file}\n\n${block(file)}`,
    );
  }
  const home = { file: "site/home.md", place: "index.md" };
  const text = withReadme(readFileSync(join(root, home.file), "utf8"));
  write(join(folder, "index.md"), led({ ...home, text }));
}

/** Changes what is prose; fenced blocks and code in lines stay. */
function outsideCode(markdown, change) {
  let fence = "";
  return markdown
    .split("\n")
    .map((line) => {
      const [, mark = ""] = /^ *(`{3,}|~{3,})/.exec(line) ?? [];
      if (fence === "" && mark !== "") fence = mark;
      else if (fence !== "") {
        if (mark.startsWith(fence) && line.trim() === mark) fence = "";
      } else return change(line);
      return line;
    })
    .join("\n");
}
