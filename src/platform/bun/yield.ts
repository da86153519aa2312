/** A macrotask: sockets are served before the next one. */
export function yieldTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
