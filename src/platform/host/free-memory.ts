/** What is left of the machine's memory, or of the part of it that the process may have. */
import { freemem } from "node:os";

export function freeBytes(): number {
  // Of containers' limits, too; Node has it from 20.13 on.
  const { availableMemory } = process as { availableMemory?: () => number };
  return Math.min(freemem(), availableMemory?.() || Number.POSITIVE_INFINITY);
}
