/** How long a generation lives that nobody reads or drives. */

/**
 * Parts that a generation may be ahead of its reader. At the bound it gives its slot away and waits;
 * the cache and the seed make going on later give the same tokens.
 */
export const RUN_AHEAD_PARTS = 64;

/** It goes on when this many are left, so that a steady slow reader does not pause it every token. */
export const RESUME_PARTS: number = RUN_AHEAD_PARTS / 2;

/** A paused generation that nobody reads for so long ends. It holds neither slot nor place. */
export const PAUSED_LEASE_MS = 60_000;

/** So many may be paused for each that may run or wait; some 10 KB each. Beyond it who has not read for longest ends. */
export const PAUSED_PER_PLACE = 4;

/**
 * A generation whose driver missed so many turns gives its slot away. Workers cancels a driver silently when
 * its client goes away, sometimes before the request's signal has fired. A live driver wakes between any two
 * turns; should its timer come late, it goes on from the cache, with the same tokens.
 */
export const MISSED_TURNS = 1;

/** After so many it ends: nobody will come. */
export const DRIVER_LEASE_TURNS = 8;

/**
 * Work with a lent slot (embeddings, scores) that runs no batch for so long has lost its request: Workers and objects
 * that are ended run no `finally`. Between two of its batches is no more than another's batch.
 */
export const LOAN_LEASE_MS = 20_000;
