/** The page that servers have at `/`: the model is theirs. */
import "../../src/playground/styles/page.css";
import { mountPlayground } from "../../src/playground/app.tsx";
import { Connection } from "../../src/playground/server/connection.ts";
import { serverPanel } from "../../src/playground/server/server-panel.tsx";

const root = document.getElementById("page");
if (root === null) throw new Error("page: the document has no #page");
const connection = new Connection(new URL(".", location.href));
mountPlayground(root, {
  kind: "server",
  engine: connection.engine,
  ModelPanel: serverPanel(connection),
});
