// Ids of headings as GitHub makes them: the same anchors work there, on the site and in the tests.

/** Of a heading's plain text, without what makes equal ones differ. */
export function slugify(text) {
  return text
    .trim()
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Mark}\p{Number}\p{Connector_Punctuation} -]/gu, "")
    .replaceAll(" ", "-");
}

/** Ids of a document's headings in their order; equal ones are numbered. */
export function headingIds(markdown) {
  const used = new Map();
  return headings(markdown).map(({ text }) => {
    const id = slugify(text);
    const count = used.get(id) ?? 0;
    used.set(id, count + 1);
    return count === 0 ? id : `${id}-${count}`;
  });
}

/** Headings of a document, without the marks inside them. */
export function headings(markdown) {
  return [...withoutCode(markdown).matchAll(/^(#{1,6}) +(.+?) *#*$/gm)].map(([, marks, text]) => ({
    level: marks.length,
    text: text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[`*]/g, ""),
  }));
}

/** The same lines, empty where a fenced block is. */
export function withoutCode(markdown) {
  let fence = "";
  return markdown
    .split("\n")
    .map((line) => {
      const [, mark = ""] = /^ *(`{3,}|~{3,})/.exec(line) ?? [];
      if (fence === "" && mark === "") return line;
      if (fence === "") fence = mark;
      else if (mark.startsWith(fence) && line.trim() === mark) fence = "";
      return "";
    })
    .join("\n");
}
