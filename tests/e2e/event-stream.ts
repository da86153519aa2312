/** Reads server-sent events, with the time and the network read that each arrived in. */

export interface ArrivedEvent {
  readonly data: string;
  readonly ms: number;
  /** Which read of the body brought its end, from 0. */
  readonly read: number;
}

export async function* readEvents(response: Response): AsyncGenerator<ArrivedEvent> {
  if (!response.body) throw new Error("an answer without a body");
  const started = performance.now();
  const decoder = new TextDecoder();
  let rest = "";
  let read = 0;
  for await (const bytes of response.body) {
    rest += decoder.decode(bytes, { stream: true });
    const events = rest.split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trim())
        .join("\n");
      if (data) yield { data, ms: performance.now() - started, read };
    }
    read++;
  }
}
