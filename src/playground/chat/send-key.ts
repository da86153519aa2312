/**
 * Whether a key sends what is typed: Enter does, with Shift it ends the line, as while a word is composed (of
 * Japanese, say). On screens that are touched Enter ends the line, since their keyboards have no Shift+Enter.
 */
export function isSendKey({ key, shiftKey, isComposing }: KeyboardEvent): boolean {
  return key === "Enter" && !shiftKey && !isComposing && !matchMedia("(pointer: coarse)").matches;
}
