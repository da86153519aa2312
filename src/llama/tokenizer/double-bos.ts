/**
 * Chat templates write the token that begins texts, and encoding puts one in front of it again: models
 * answer worse to two of them, and nothing else tells. So it is said once; ids stay as they are asked for.
 */

/** Who is told what is likely a mistake. */
export interface WarningTarget {
  /** What was said, once each. */
  readonly warnings: string[];
  /** Told of each as it comes. */
  onWarning: ((warning: string) => void) | undefined;
}

export function warnOnce(target: WarningTarget, warning: string): void {
  if (target.warnings.includes(warning)) return;
  target.warnings.push(warning);
  target.onWarning?.(warning);
}

/** @param instead what to do, as `add_special_tokens: false` */
export function doubleBos(bos: string, instead: string): string {
  return `tokenizer: the text begins with ${bos}, and encoding puts another in front of it; after a chat template encode with ${instead}`;
}
