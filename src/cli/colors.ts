/**
 * Colours of the terminal. picocolors has the codes, nested rightly, in one file of 3 KB without dependencies; it
 * is told here whether to use them. util.styleText came with Node 20.12, which is newer than what this runs
 * on, and looks at stdout where stderr is written. Only the sixteen colours of the terminal's own theme,
 * and no white, black or grey of them: they stay readable on light and dark.
 */
import type { Environment } from "../platform/host/cache-folder.ts";

type Paint = (text: string) => string;

export interface Colors {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly cyan: Paint;
}

const same: Paint = (text) => text;

export const PLAIN: Colors = {
  bold: same,
  dim: same,
  red: same,
  green: same,
  yellow: same,
  cyan: same,
};

/**
 * Whether a stream gets colours. NO_COLOR says no and FORCE_COLOR yes, whatever it is; the latter is more explicit, and
 * wins. Sources: no-color.org (any value but an empty one), force-color.org; "0" and "false" are Node's no.
 */
export function wantsColors(env: Environment, isTerminal: boolean): boolean {
  const forced = env.FORCE_COLOR;
  if (forced) return forced !== "0" && forced !== "false";
  if (env.NO_COLOR) return false;
  return isTerminal && env.TERM !== "dumb";
}

/** Loads picocolors only where there is something to colour: other starts do not pay for it. */
export async function colorsFor(env: Environment, isTerminal: boolean): Promise<Colors> {
  if (!wantsColors(env, isTerminal)) return PLAIN;
  const { default: picocolors } = await import("picocolors");
  return picocolors.createColors(true);
}
