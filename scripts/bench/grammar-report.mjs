// From the raw figures of `npm run bench -- grammar` to its tables.
import { table } from "./tables.mjs";

const ms = (value) => value.toFixed(value < 1 ? 2 : 1);

/** The document as Markdown. */
export function grammarTables({ machine, date, runtime, kernel, rounds, vocabularies, decode }) {
  const first = Object.entries(vocabularies).map(([name, { tokens, tree_ms, schemas }]) =>
    [
      `${name}, ${tokens} tokens: the vocabulary's tree and the rules of JSON, once for a model, in ${ms(tree_ms)} ms.`,
      "",
      table(
        ["first use of a schema, ms", "compiled", "all masks of an answer"],
        Object.entries(schemas).map(([schema, { compile_ms, masks_ms }]) => [
          schema,
          ms(compile_ms),
          ms(masks_ms),
        ]),
      ),
    ].join("\n"),
  );
  const share = ({ mask_ms, plain_ms }) => `${((100 * mask_ms) / plain_ms).toFixed(1)} %`;
  return [
    `${machine.cpu}; ${date}. ${runtime}, ${kernel} kernels, one thread, medians of ${rounds}.`,
    "",
    table(
      ["schema", "tokens", "of them forced", "ms a token", "without schema", "masks", "of decode"],
      Object.entries(decode).map(([schema, row]) => [
        schema,
        row.tokens.toFixed(0),
        row.forced.toFixed(0),
        row.ms.toFixed(2),
        row.plain_ms.toFixed(2),
        row.mask_ms.toFixed(3),
        share(row),
      ]),
    ),
    "",
    first.join("\n\n"),
  ].join("\n");
}
