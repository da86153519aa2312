/** How long a generation lives that nobody reads or drives. */

/**
 * Parts that a generation may be ahead of its reader. At the bound it gives its slot away and waits;
 * the cache and the seed make going on later give the same tokens.
 */
export const RUN_AHEAD_PARTS = 64;

/** It goes on when this many are left, so that a steady slow reader does not pause it every token. */
export const RESUME_PARTS: number = RUN_AHEAD_PARTS / 2;

/** A paused generation that nobody reads for so long ends. It holds no slot, only its place. */
export const PAUSED_LEASE_MS = 60_000;

/**
 * A generation whose driver missed this many turns ends. Workers cancels a driver silently when its
 * client goes away, sometimes before the request's signal has fired; what is lost so computes on in
 * others' batches until then. A live driver wakes between any two turns, so it misses none: the rest
 * is margin for a host whose timers come late.
 */
export const DRIVER_LEASE_TURNS = 8;
