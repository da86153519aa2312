/** Containers that are started, asked, lost and stopped; what they hold is the real app. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  type ContainerLike,
  ContainerObject,
  type ContainerStateLike,
  containerFetch,
} from "../../../src/platform/cloudflare/container-object.ts";
import { createApp, createFront } from "../../../src/server/app.ts";
import { CHAT, chat, post } from "../server/client.ts";
import { createToy } from "../server/toy-engine.ts";

const { engine } = createToy();

/** Listens some time after its start, and is ready some time after that. */
class Machine implements ContainerLike {
  running = false;
  starts: object[] = [];
  signals: number[] = [];
  answered = 0;
  refuses = false;
  #startedMs = 0;
  #end: () => void = () => {};
  readonly #app = createApp({
    engine: () => (this.#isReady() ? engine : undefined),
    ready: () => ({ status: this.#isReady() ? "ready" : "loading" }),
  });

  start(options: object): void {
    if (this.running) throw new Error("started twice");
    this.starts.push(options);
    this.running = true;
    this.#startedMs = Date.now();
  }

  monitor(): Promise<void> {
    return new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  signal(signal: number): void {
    this.signals.push(signal);
    this.end();
  }

  end(): void {
    this.running = false;
    this.#end();
  }

  getTcpPort(port: number) {
    return {
      fetch: async (request: Request): Promise<Response> => {
        expect(port).toBe(8787);
        if (!this.running || Date.now() - this.#startedMs < 500) throw new TypeError("no listener");
        const isHealth = request.url.endsWith("/health");
        if (!isHealth) this.answered++;
        if (this.refuses && !isHealth) return Response.json({}, { status: 503 });
        return this.#app.fetch(request);
      },
    };
  }

  #isReady(): boolean {
    return Date.now() - this.#startedMs >= 2000;
  }
}

const setup = (machine = new Machine()) => {
  const alarms: number[] = [];
  const state: ContainerStateLike = {
    container: machine,
    storage: { setAlarm: async (ms) => void alarms.push(ms) },
  };
  return { machine, alarms, state, object: new ContainerObject(state) };
};

const ask = (): Request =>
  new Request(`http://engines${CHAT}`, { method: "POST", body: JSON.stringify(chat()) });

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => void vi.useRealTimers());

/** The answer, with the time passing that it waits for. */
async function soon<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  promise.then(settle, settle);
  while (!isSettled) {
    await vi.advanceTimersByTimeAsync(100);
    await new Promise((resolve) => setImmediate(resolve)); // what is no timer takes its own time
  }
  return promise;
}

describe("a container", () => {
  test("is started once, by whoever asks first, and asked when it is healthy", async () => {
    const { object, machine } = setup();
    const answers = await soon(Promise.all([object.fetch(ask()), object.fetch(ask())]));
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(machine.starts).toEqual([{ enableInternet: false, env: {} }]);
    expect(machine.answered).toBe(2);
  });

  test("gets the variables of the class that extends this one", async () => {
    class Keyed extends ContainerObject {
      protected override variables(): Record<string, string> {
        return { PRONK_API_KEYS: "k" };
      }
    }
    const { state, machine } = setup();
    await soon(new Keyed(state).fetch(ask()));
    expect(machine.starts).toMatchObject([{ env: { PRONK_API_KEYS: "k" } }]);
  });

  test("that has ended is started again", async () => {
    const { object, machine } = setup();
    await soon(object.fetch(ask()));
    machine.end();
    expect((await soon(object.fetch(ask()))).status).toBe(200);
    expect(machine.starts).toHaveLength(2);
  });

  test("that runs when the object comes back is not started again", async () => {
    const { object, machine, state } = setup();
    await soon(object.fetch(ask()));
    expect((await soon(new ContainerObject(state).fetch(ask()))).status).toBe(200);
    expect(machine.starts).toHaveLength(1);
  });

  test("that never gets healthy is told so, and may be tried again", async () => {
    const { object, machine } = setup();
    machine.getTcpPort = () => ({ fetch: () => Promise.reject(new TypeError("no listener")) });
    await expect(soon(object.fetch(ask()))).rejects.toMatchObject({ code: "source_failed" });
    await expect(soon(object.fetch(ask()))).rejects.toThrow("not ready in 60 s");
  });

  test("is stopped ten minutes after the last request, by one alarm a minute at most", async () => {
    const { object, machine, alarms } = setup();
    for (let i = 0; i < 20; i++) {
      await soon(object.fetch(ask()));
      await soon(object.fetch(ask()));
      vi.setSystemTime(Date.now() + 30_000);
    }
    expect(alarms.length).toBeLessThanOrEqual(12);
    const last = Date.now();
    expect(alarms.length).toBeGreaterThan(5);
    // One that was set for an earlier request.
    await object.alarm();
    expect(machine.signals).toEqual([]);
    expect(alarms.at(-1)).toBeGreaterThan(last + 8 * 60_000);
    vi.setSystemTime(alarms.at(-1) ?? 0);
    await object.alarm();
    expect(machine.signals).toEqual([15]);
    expect((await soon(object.fetch(ask()))).status).toBe(200);
    expect(machine.starts).toHaveLength(2);
  });

  test("needs its configuration", () => {
    expect(() => new ContainerObject({ storage: { setAlarm: async () => {} } })).toThrow(
      "no container is configured",
    );
  });
});

describe("several containers behind the front", () => {
  const several = (count: number) => {
    const machines = Array.from({ length: count }, () => setup());
    const namespace = {
      idFromName: (name: string) => ({ name }),
      get: ({ name }: { name: string }) =>
        machines[Number(/^engine-(\d+)$/.exec(name)?.[1])]!.object,
    };
    const fetch = containerFetch(namespace, count);
    return { machines, front: createFront({ upstream: "http://engines", fetch }) };
  };
  const question = (i: number) => chat({ messages: [{ role: "user", content: `Question ${i}` }] });

  test("share conversations evenly, and each stays where it was", async () => {
    const { machines, front } = several(3);
    for (let i = 0; i < 60; i++) await soon(post(front, CHAT, question(i)));
    const counts = machines.map(({ machine }) => machine.answered);
    for (const count of counts) expect(count).toBeGreaterThan(8);
    for (let i = 0; i < 60; i++) await soon(post(front, CHAT, question(i)));
    expect(machines.map(({ machine }) => machine.answered)).toEqual(counts.map((n) => 2 * n));
  });

  test("one more moves only what goes to it", async () => {
    const placeOf = async (count: number, i: number): Promise<number> => {
      const { machines, front } = several(count);
      await soon(post(front, CHAT, question(i)));
      return machines.findIndex(({ machine }) => machine.answered > 0);
    };
    let moved = 0;
    for (let i = 0; i < 24; i++) {
      const [before, after] = [await placeOf(3, i), await placeOf(4, i)];
      if (before === after) continue;
      moved++;
      expect(after).toBe(3);
    }
    expect(moved).toBeGreaterThan(0);
  });

  test("one that refuses or cannot be reached is passed over, with the same body", async () => {
    const { machines, front } = several(2);
    machines[0]!.machine.refuses = true;
    for (let i = 0; i < 6; i++) {
      expect((await soon(post(front, CHAT, question(i)))).status).toBe(200);
    }
    machines[0]!.machine.getTcpPort = () => ({ fetch: () => Promise.reject(new Error("gone")) });
    for (let i = 0; i < 6; i++) {
      expect((await soon(post(front, CHAT, question(i)))).status).toBe(200);
    }
    machines[1]!.machine.refuses = true;
    const refused = await soon(post(front, CHAT, question(1)));
    expect(refused.status).toBe(503);
  });
});
