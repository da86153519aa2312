/** A macrotask: without one a token, workerd sends a stream in few large pieces. */
export function yieldTask(): Promise<void> {
  return scheduler.wait(0);
}
