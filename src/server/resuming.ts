/**
 * Streams that go on after a lost connection, and answers after their time was over: the same request again, with a
 * token of where it was. The choices' tokens so far are run again as a prompt is, everything that was made of them is
 * made again, and what had arrived is left out: what follows is what would have followed.
 */
import { PronkError } from "../errors.ts";
import { sha256 } from "../pack/digest.ts";
import { fingerprintOf } from "./adapters.ts";
import type { ChoiceEvent } from "./choices.ts";
import type { AppContext } from "./context.ts";
import type { AnswerHead, Job } from "./job.ts";
import { decodeResume, encodeResume, HASH_DIGITS, type ResumeState } from "./resume-token.ts";

type Chunk = Record<string, unknown>;

export class Resuming {
  readonly #count: number;
  readonly #from: ResumeState;
  /** Chunks that were made so far: without a choice, then of each choice. */
  readonly #made: number[];
  /** Of those, what the client has. */
  readonly #delivered: number[];
  readonly #outputs: number[][];
  /** Whether events are numbered. */
  readonly hasIds: boolean;
  #isTimedOut = false;

  constructor(from: ResumeState, choices: number, hasIds: boolean) {
    this.#from = from;
    this.#count = choices;
    this.hasIds = hasIds;
    this.#made = new Array<number>(choices + 1).fill(0);
    this.#delivered = Array.from(this.#made, (_, i) => from.delivered[i] ?? 0);
    this.#outputs = Array.from({ length: choices }, () => []);
  }

  /** For requests without one. */
  get seed(): number {
    return this.#from.seed;
  }

  /** Of the answer that it goes on. */
  headOf(head: AnswerHead): AnswerHead {
    const { id, created } = this.#from;
    return { ...head, id, created };
  }

  /** Tokens that a choice's output begins with. */
  outputOf(index: number): readonly number[] | undefined {
    const ids = this.#from.outputs[index];
    return ids === undefined || ids.length === 0 ? undefined : ids;
  }

  /** Passes the choices' events on, and notes their tokens. */
  async *follow(events: AsyncIterable<ChoiceEvent>): AsyncGenerator<ChoiceEvent, void, undefined> {
    for await (const event of events) {
      if ("part" in event) this.#outputs[event.index]?.push(event.part.token);
      else if (event.result.timed_out) this.#isTimedOut = true;
      yield event;
    }
  }

  /** Passes on what the client does not have; the end of a choice whose time is over tells how to go on. */
  async *rest(chunks: AsyncIterable<Chunk>): AsyncGenerator<Chunk, void, undefined> {
    for await (const chunk of chunks) {
      const [choice] = (chunk.choices ?? []) as readonly {
        index?: number;
        finish_reason?: unknown;
      }[];
      // Comes again when it goes on.
      const isPassing = this.#isTimedOut && (choice === undefined || choice.finish_reason !== null);
      if (isPassing) {
        yield choice === undefined ? chunk : { ...chunk, resume: this.token };
        continue;
      }
      const at = choice?.index === undefined ? 0 : choice.index + 1;
      const made = (this.#made[at] ?? 0) + 1;
      this.#made[at] = made;
      if (made <= (this.#delivered[at] ?? 0)) continue;
      this.#delivered[at] = made;
      yield chunk;
    }
  }

  /** Where the client is once it has what was passed on. */
  get token(): string {
    return encodeResume({ ...this.#from, delivered: this.#delivered, outputs: this.#outputs });
  }

  /** For whole answers: how to go on, where the time was over. */
  get afterTime(): { resume?: string } {
    if (!this.#isTimedOut) return {};
    const delivered = new Array<number>(this.#count + 1).fill(0);
    return { resume: encodeResume({ ...this.#from, delivered, outputs: this.#outputs }) };
  }
}

/**
 * undefined where nothing can be gone on with: the request neither asks for it nor has a limit of time.
 *
 * @param isBounded whether the server ends answers that take it too long.
 *
 * @throws PronkError "bad_request" with the param "resume" when a token is none, or of another request or model.
 */
export async function createResuming(
  c: AppContext,
  job: Job,
  head: AnswerHead,
  isBounded: boolean,
): Promise<Resuming | undefined> {
  const { resume, max_time } = job.fields;
  const token = typeof resume === "string" ? resume : c.req.header("last-event-id");
  const hasIds = resume === true || token !== undefined;
  if (!hasIds && max_time == null && !isBounded) return undefined;
  const choices = job.prompts.length * job.n;
  const hash = await hashOf(c.req.path, job);
  if (token === undefined) {
    const [seed = 0] = crypto.getRandomValues(new Uint32Array(1));
    const { id, created } = head;
    return new Resuming({ hash, id, created, seed, delivered: [], outputs: [] }, choices, hasIds);
  }
  const state = decodeResume(token);
  if (state.hash === hash) return new Resuming(state, choices, resume !== undefined || hasIds);
  const why = "of another request or model: the same body goes on, but for resume and max_time";
  throw new PronkError("bad_request", `resume: ${why}`, { param: "resume" });
}

/** Of everything that decides the answer. */
export async function hashOf(
  path: string,
  { engine, served, fields, prompts }: Job,
): Promise<string> {
  const { resume: _, max_time: __, ...rest } = fields;
  const facts = [fingerprintOf(engine, served.adapters), served.model, path, rest, prompts];
  const hash = await sha256(new TextEncoder().encode(JSON.stringify(facts)));
  return hash.slice(0, HASH_DIGITS);
}
