/** Calls `run` once after `ms`, unless the returned function was called before. */
export type Timer = (ms: number, run: () => void) => () => void;

/** By setTimeout, which every runtime has. */
export const platformTimer: Timer = (ms, run) => {
  const id = setTimeout(run, ms);
  return () => clearTimeout(id);
};
