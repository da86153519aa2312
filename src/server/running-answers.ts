/** How many answers are on their way, for servers that end when none is. */

export class RunningAnswers {
  #running = 0;
  #onIdle: (() => void) | undefined;

  get count(): number {
    return this.#running;
  }

  begin(): void {
    this.#running++;
  }

  /** To be called when an answer has ended, by the app's `log`. */
  end(): void {
    if (--this.#running === 0) this.#onIdle?.();
  }

  /** Until none is, but no longer than `ms`. */
  async untilIdle(ms: number): Promise<void> {
    if (this.#running === 0 || ms === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
