/** What filters of Jinja cost, charged before they are applied. */
import type { JinjaArguments, JinjaValue } from "./jinja-library.ts";
import { checkItems, ITEMS_PER_STEP, type TemplateBudget } from "./template-budget.ts";

/** These look at none of the value's parts. */
const FREE: ReadonlySet<string> = new Set([
  ...["length", "first", "last", "list", "safe", "default", "abs", "bool"],
]);

/** These look at the items of a list, not at what is in them. */
const OF_ITEMS: ReadonlySet<string> = new Set([
  ...["reverse", "items", "keys", "values", "get", "map", "selectattr", "rejectattr"],
]);

/** @param given the evaluated arguments of the call */
export function chargeFilter(
  budget: TemplateBudget,
  name: string,
  operand: JinjaValue,
  given: JinjaArguments = [[], new Map()],
): void {
  const size = budget.sizeOf(operand);
  if (FREE.has(name)) return;
  const { value } = operand;
  const [args, named] = given;
  const text = (at: number, key: string): string => {
    const value = (args[at] ?? named.get(key))?.value;
    return typeof value === "string" ? value : "";
  };
  const number = (at: number, key: string, byDefault: number): number => {
    const value = (args[at] ?? named.get(key))?.value;
    return typeof value === "number" ? value : byDefault;
  };
  const count = Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0;
  budget.step(Math.floor(count / ITEMS_PER_STEP));
  // The tests `lower` and `upper` change the case of a text of each item.
  const isOfItems = OF_ITEMS.has(name) && !/^(?:low|upp)er$/.test(text(1, ""));
  if (!isOfItems) budget.read(size.chars);

  if (name === "sort" || name === "dictsort") {
    const rounds = Math.ceil(Math.log2(count + 1));
    budget.step(Math.floor((count * rounds) / ITEMS_PER_STEP));
    // Each comparison changes the case of both texts, by default.
    budget.read(2 * size.chars * rounds);
  }
  if (name === "sort" || name === "map") {
    // The path is divided anew for each item, by `sort` in each comparison.
    const path = text(2, "attribute").length;
    const times = name === "sort" ? 2 * count * Math.ceil(Math.log2(count + 1)) : count;
    budget.step(Math.floor((path * times) / ITEMS_PER_STEP));
  }
  if (name === "join" && Array.isArray(value)) {
    budget.checkChars(size.chars + value.length * text(0, "separator").length);
  } else if (name === "tojson") {
    const separators = named.get("separators")?.value;
    const between = Array.isArray(separators)
      ? separators.reduce((sum, { value }) => sum + String(value).length, 0)
      : 0;
    const indent = Math.max(0, number(-1, "indent", 0)) * (size.depth + 1);
    budget.checkChars(size.chars + size.lines * (between + indent));
  } else if (typeof value === "string") {
    if (name === "replace") budget.checkReplaced(value, text(0, ""), text(1, ""));
    if (name === "join") budget.checkChars(value.length * (1 + text(0, "separator").length));
    if (name === "indent") {
      const width = Math.max(0, number(0, "width", 4));
      const lines = budget.count(value, "\n") + 1;
      checkItems(lines);
      budget.checkChars(value.length + width * lines);
    }
  }
}
