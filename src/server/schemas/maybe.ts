/** What clients send for "not set": nothing, or an explicit null. */
export type Maybe<T> = T | null | undefined;
