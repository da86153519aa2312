/** What is typed into a view: it is there again when the view is, and when the page is. */
import type { Signal } from "@preact/signals";
import { storedSignal } from "../state/stored.ts";

const texts = new Map<string, Signal<string>>();

/** A pause in typing, after which it is written. */
const DELAY_MS = 500;

/** @param name among the texts of all views. */
export function useKeptText(name: string, initial: string): [string, (text: string) => void] {
  const kept =
    texts.get(name) ?? storedSignal(`view.${name}`, initial, { parse, delayMs: DELAY_MS });
  texts.set(name, kept);
  return [
    kept.value,
    (text) => {
      kept.value = text;
    },
  ];
}

const parse = (stored: unknown): string | undefined =>
  typeof stored === "string" ? stored : undefined;
