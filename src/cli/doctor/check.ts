/** One thing that doctor looks at. */

export type CheckStatus = "ok" | "warn" | "fail";

export interface Check {
  readonly name: string;
  /** "fail" only where pronk cannot run; "warn" where it would run better, or cannot fetch. */
  readonly status: CheckStatus;
  /** What there is, in a line. */
  readonly found: string;
  /** What to change, where something can be. */
  readonly change?: string;
  /** The same for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** What a promise comes to, or undefined when it takes longer. */
export async function within<T>(limitMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
