// The order of the pages. A page that is named nowhere goes to the end of its group's folder; one that has no group fails.
import { publicEntries } from "./entries.mjs";
import { documents, titleOf } from "./pages.mjs";

/** Pages of each group by their places without `.md`; a folder takes all of its pages that are not named. */
const GROUPS = [
  ["Start", ["introduction", "tutorials/index", "limits", "tutorials/", "playground"]],
  ["Guides", ["guides/index", "guides/", "embedding", "comparison", "troubleshooting"]],
  [
    "Deploy",
    [
      "deploy/cloudflare",
      "deploy/node",
      "deploy/deno",
      "deploy/bun",
      "deploy/container",
      "deploy/",
    ],
  ],
  ["Examples", ["examples/index", "examples/"]],
  ["Reference", ["server", "api", "reference/"]],
  [
    "How it works",
    [
      "architecture",
      "reliability",
      "security",
      "pack-format",
      "determinism",
      "kernels",
      "webgpu",
      "mutation",
    ],
  ],
  ["Measured", ["benchmarks"]],
  ["The project", ["changelog", "contributing", "reporting"]],
];

const titles = new Map(
  documents.map(({ place, text }) => [place.replace(/\.md$/, ""), titleOf(text)]),
);
const named = new Set(GROUPS.flatMap(([, places]) => places));

const item = (place) => ({
  text: place === "introduction" ? "What it is" : (titles.get(place) ?? place),
  link: `/${place.replace(/(?:^|\/)index$/, "/")}`,
});

/** Pages that are written while the site is built. */
const exported = {
  text: "Exports",
  items: publicEntries().map(({ name }) => ({ text: name, link: `/reference/api/${name}/` })),
};

const groups = GROUPS.map(([text, places]) => ({
  text,
  items: places.flatMap((place) => {
    if (!place.endsWith("/")) return titles.has(place) ? [item(place)] : [];
    const rest = [...titles.keys()].filter((one) => one.startsWith(place) && !named.has(one));
    return rest.sort().map(item);
  }),
})).filter(({ items }) => items.length > 0);

const listed = new Set(groups.flatMap(({ items }) => items.map(({ link }) => link)));
const lost = [...titles.keys()].filter((place) => !listed.has(item(place).link));
if (lost.length > 0) throw new Error(`pages in no group of site/sidebar.mjs: ${lost.join(", ")}`);

const after = groups.findIndex(({ text }) => text === "Reference") + 1;
export const sidebar = [...groups.slice(0, after), exported, ...groups.slice(after)];
