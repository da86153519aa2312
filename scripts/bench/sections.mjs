// Parts of a page between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.

/** Replaces what stands between the marks of a section. */
export function replaceSection(page, name, content) {
  const [from, to] = sectionRange(page, name);
  return `${page.slice(0, from)}\n${content}\n${page.slice(to)}`;
}

/** What stands between them. */
export function sectionOf(page, name) {
  return page.slice(...sectionRange(page, name)).trim();
}

function sectionRange(page, name) {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`no section ${begin} … ${end}`);
  return [from + begin.length, to];
}
