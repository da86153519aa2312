/** A server from this page: whether its model is ready, and the key that it may want. */
import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { PronkError } from "../../errors.ts";
import type { PlaygroundEngine } from "../engine.ts";
import { storedSignal } from "../state/stored.ts";
import { openServerEngine } from "./server-engine.ts";

export type ConnectionState =
  | { readonly is: "connecting" | "ready" }
  | { readonly is: "loading"; readonly progress: number | undefined }
  /** A key is wanted; `isWrong`: another than the one that was given. */
  | { readonly is: "locked"; readonly isWrong: boolean }
  | { readonly is: "failed"; readonly why: string };

/** While a model is loaded; it takes seconds. */
const POLL_MS = 500;

export class Connection {
  readonly state: Signal<ConnectionState> = signal({ is: "connecting" });
  readonly engine: ReadonlySignal<PlaygroundEngine | undefined>;
  /** Forgotten with the tab. */
  readonly #key: Signal<string> = storedSignal("api-key", "", {
    area: "session",
    parse: (stored) => (typeof stored === "string" ? stored : undefined),
  });
  readonly #engine: Signal<PlaygroundEngine | undefined> = signal(undefined);
  readonly #base: URL;

  constructor(base: URL) {
    this.#base = base;
    this.engine = this.#engine;
    void this.connect();
  }

  /** Whether a key was given. */
  get hasKey(): boolean {
    return this.#key.value !== "";
  }

  useKey(key: string): void {
    this.#key.value = key;
    void this.connect();
  }

  forgetKey(): void {
    this.useKey("");
  }

  /** Waits for the model, then asks what it is. */
  async connect(): Promise<void> {
    this.state.value = { is: "connecting" };
    this.#engine.value = undefined;
    try {
      while (!(await this.#isReady())) await new Promise((done) => setTimeout(done, POLL_MS));
      const engine = openServerEngine(this.#base, {
        key: () => this.#key.peek(),
        onRefused: () => this.#lock(),
      });
      await engine.facts();
      this.#engine.value = engine;
      this.state.value = { is: "ready" };
    } catch (error) {
      if (this.state.peek().is === "locked") return;
      const why = error instanceof PronkError ? error.message : "the server cannot be reached";
      this.state.value = { is: "failed", why };
    }
  }

  async #isReady(): Promise<boolean> {
    const key = this.#key.peek();
    const headers = new Headers(key === "" ? [] : [["authorization", `Bearer ${key}`]]);
    const answer = await fetch(new URL("health", this.#base), { headers });
    if (answer.ok) return true;
    const { status, progress, error } = await answer.json();
    if (status === "failed") {
      const why = error?.message ?? `the model could not be loaded (${error?.code})`;
      throw new PronkError("unavailable", why);
    }
    if (status === "stopping") throw new PronkError("unavailable", "the server is being stopped");
    this.state.value = { is: "loading", progress };
    return false;
  }

  #lock(): void {
    this.state.value = { is: "locked", isWrong: this.#key.peek() !== "" };
    this.#engine.value = undefined;
  }
}
