/** Files that are dropped anywhere on the page are a model to open. */

const OVER = "is-dropping";

export function acceptDrops(page: Document, open: (files: Iterable<File>) => void): void {
  const { classList } = page.documentElement;
  const hasFiles = ({ dataTransfer }: DragEvent): boolean =>
    dataTransfer?.types.includes("Files") === true;
  page.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    // Else the browser leaves the page for the file.
    event.preventDefault();
    classList.add(OVER);
  });
  page.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) classList.remove(OVER);
  });
  page.addEventListener("drop", (event) => {
    classList.remove(OVER);
    if (!hasFiles(event)) return;
    event.preventDefault();
    open(event.dataTransfer?.files ?? []);
  });
}
