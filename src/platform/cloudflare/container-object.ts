/**
 * Engines as Cloudflare Containers: each a container of the repository's image behind a Durable Object,
 * which starts it when it is asked, waits until it is healthy, and stops it when nobody has asked for a
 * while. The Worker in front chooses one by the front's header and takes the next where one cannot answer.
 * Source: https://developers.cloudflare.com/durable-objects/api/container/
 */
import { PronkError } from "../../errors.ts";
import { AFFINITY_HEADER } from "../../server/affinity.ts";

/** What is used of DurableObjectState. */
export interface ContainerStateLike {
  readonly container?: ContainerLike;
  readonly storage: { setAlarm(timeMs: number): Promise<void> };
}

/** What is used of its container. */
export interface ContainerLike {
  readonly running: boolean;
  start(options: {
    readonly enableInternet: boolean;
    readonly env?: Readonly<Record<string, string>>;
  }): void;
  /** Settles when it has ended. */
  monitor(): Promise<void>;
  signal(signal: number): void;
  getTcpPort(port: number): { fetch(request: Request): Promise<Response> };
}

/** What is used of DurableObjectNamespace. */
export interface ContainerNamespaceLike {
  idFromName(name: string): object;
  // biome-ignore lint/suspicious/noExplicitAny: Cloudflare's type of an id is not ours
  get(id: any): { fetch(request: Request): Promise<Response> };
}

/** Of the image. */
const PORT = 8787;

/** A container costs while it runs; starting one again takes some seconds. */
const IDLE_MS = 10 * 60_000;

/** Writing an alarm for every request would cost more than the request. */
const ALARM_STEP_MS = 60_000;

/** An image that no machine near has yet, and its model. */
const START_MS = 60_000;
const POLL_MS = 200;

const SIGTERM = 15;

export class ContainerObject {
  readonly #container: ContainerLike;
  readonly #storage: ContainerStateLike["storage"];
  #ready: Promise<void> | undefined;
  #usedMs = 0;
  #alarmMs = 0;

  /** @throws PronkError "bad_request" where the class has no [[containers]] of its own. */
  constructor(state: ContainerStateLike) {
    if (state.container === undefined) {
      throw new PronkError("bad_request", "ContainerObject: no container is configured for it");
    }
    this.#container = state.container;
    this.#storage = state.storage;
  }

  /** What is set in the container, such as PRONK_API_KEYS; a class that extends this one says so. */
  protected variables(): Readonly<Record<string, string>> {
    return {};
  }

  async fetch(request: Request): Promise<Response> {
    if (!this.#container.running) this.#ready = undefined;
    this.#ready ??= this.#start();
    const ready = this.#ready;
    try {
      await ready;
      await this.#touch();
      return await this.#ask(request);
    } catch (error) {
      // Whoever comes next starts it again, if it is that.
      if (this.#ready === ready) this.#ready = undefined;
      throw error;
    }
  }

  /** The last request is ten minutes old, or the object has been away since. */
  async alarm(): Promise<void> {
    if (!this.#container.running) return;
    if (Date.now() - this.#usedMs < IDLE_MS - ALARM_STEP_MS) return this.#touch();
    this.#ready = undefined;
    this.#container.signal(SIGTERM); // what runs is finished first
  }

  async #start(): Promise<void> {
    if (!this.#container.running) {
      this.#container.start({ enableInternet: false, env: this.variables() });
    }
    const ended = (): void => {
      this.#ready = undefined;
    };
    this.#container.monitor().then(ended, ended);
    const startedMs = Date.now();
    for (;;) {
      const status = await this.#ask(new Request("http://engine/health")).then(
        async (response) => {
          await response.body?.cancel();
          return response.status;
        },
        () => 0, // it does not listen yet
      );
      if (status === 200) return;
      if (Date.now() - startedMs > START_MS) {
        throw new PronkError("source_failed", `container: not ready in ${START_MS / 1000} s`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #ask(request: Request): Promise<Response> {
    return this.#container.getTcpPort(PORT).fetch(request);
  }

  async #touch(): Promise<void> {
    this.#usedMs = Date.now();
    if (this.#usedMs + IDLE_MS < this.#alarmMs + ALARM_STEP_MS) return;
    this.#alarmMs = this.#usedMs + IDLE_MS;
    await this.#storage.setAlarm(this.#alarmMs);
  }
}

/**
 * For `createFront({ fetch })`: asks the container that the request's header says, and the next ones where
 * that one cannot be reached or answers 503.
 *
 * @param count of containers, as `max_instances` allows them.
 */
export function containerFetch(
  namespace: ContainerNamespaceLike,
  count: number,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const order = containerOrder(request.headers.get(AFFINITY_HEADER) ?? "", count);
    for (const [i, index] of order.entries()) {
      const isLast = i === order.length - 1;
      const container = namespace.get(namespace.idFromName(`engine-${index}`));
      try {
        const response = await container.fetch(isLast ? request : (request.clone() as Request));
        if (response.status !== 503 || isLast) return response;
        await response.body?.cancel();
      } catch (error) {
        if (isLast || request.signal.aborted) throw error;
      }
    }
    throw new PronkError("bad_request", `containers: expected at least one, got ${count}`);
  };
}

/** Containers from the first choice to the last: highest random weight, so that one more moves few keys. */
function containerOrder(key: string, count: number): number[] {
  const weights = Array.from({ length: count }, (_, index) => weight(`${key} ${index}`));
  return [...weights.keys()].sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0));
}

/** FNV-1a, then mixed: keys differ in their first letters, containers in the last. */
function weight(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
