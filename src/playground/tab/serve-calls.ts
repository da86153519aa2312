/** The worker's side of the calls: methods by name, each with a signal that fires when the page loses interest. */
import { PronkError } from "../../errors.ts";
import { type AnswerMessage, type CallMessage, toErrorMessage } from "./worker-messages.ts";

/** What a method is given beside its argument. */
export interface CallContext {
  readonly signal: AbortSignal;
  /** Sends a part of the answer. */
  readonly part: (part: unknown) => void;
}

export type Methods = Readonly<
  // Each knows its own argument; what comes from the page's own code is not checked a second time.
  Record<string, (argument: never, context: CallContext) => Promise<unknown>>
>;

/** What is used of a worker's global scope, or of a port. */
export interface CallPort {
  postMessage(message: AnswerMessage): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
}

/** Answers calls from now on, and says that it does. */
export function serveCalls(port: CallPort, methods: Methods): void {
  const running = new Map<number, AbortController>();
  const serve = async (call: number, method: string, argument: unknown): Promise<void> => {
    const abort = new AbortController();
    running.set(call, abort);
    try {
      const found = Object.hasOwn(methods, method) ? methods[method] : undefined;
      if (found === undefined) throw new PronkError("not_found", `worker: no method ${method}`);
      const { signal } = abort;
      const part = (part: unknown): void => {
        // What comes after the page has left would be thrown away there.
        if (!signal.aborted) port.postMessage({ call, part });
      };
      port.postMessage({ call, end: await found(argument as never, { signal, part }) });
    } catch (error) {
      port.postMessage({ call, error: toErrorMessage(error) });
    } finally {
      running.delete(call);
    }
  };
  port.addEventListener("message", ({ data }) => {
    const message = data as CallMessage;
    if ("cancel" in message) running.get(message.cancel)?.abort();
    else void serve(message.call, message.method, message.argument);
  });
  port.postMessage({ ready: true });
}
