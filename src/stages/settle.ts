/** Work that may be asynchronous: what is not stays so, at no cost, and throws where it is called. */

type Running = undefined | Promise<void>;

/** `next` with the value, at once or when it is there. */
export function settle<Value>(
  value: Value | Promise<Value>,
  next: (value: Value) => void,
): Running {
  if (value instanceof Promise) return value.then(next);
  next(value);
  return undefined;
}

/** `next` after `running`. */
export function after(running: Running, next: () => Running): Running {
  return running === undefined ? next() : running.then(next);
}

/** One after the other. */
export function inOrder<Item>(items: readonly Item[], run: (item: Item) => Running): Running {
  for (let i = 0; i < items.length; i++) {
    const running = run(items[i]);
    if (running !== undefined) return running.then(() => inOrder(items.slice(i + 1), run));
  }
  return undefined;
}

/** When all have ended; the first failure only then, so that nothing of them goes on. */
export function together(calls: readonly Running[]): Running {
  if (calls.every((call) => call === undefined)) return undefined;
  return Promise.allSettled(calls).then((results) => {
    for (const result of results) if (result.status === "rejected") throw result.reason;
  });
}
