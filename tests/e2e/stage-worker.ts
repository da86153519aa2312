/** The Worker of workers/cloudflare-stage.ts, which also counts its invocations and can be told to fail. */
import { RpcTarget } from "cloudflare:workers";
import { r2Source } from "../../src/platform/cloudflare/index.ts";
import { type StageServiceClass, stageService } from "../../src/platform/cloudflare/service.ts";
import plain from "../../wasm/dist/plain.wasm";
import relaxed from "../../wasm/dist/relaxed.wasm";

type Env = {
  readonly MODELS: Parameters<typeof r2Source>[0];
  readonly PACK: string;
  readonly PRONK_STAGE: string;
};

/** Of the isolate. */
const counts = { invocations: 0, sessions: 0, answers: 0, ms: 0, fail: 0 };

const Stage: StageServiceClass<Env> = stageService<Env>({
  kernels: { relaxed, plain },
  pack: (env) => r2Source(env.MODELS, env.PACK),
  stage: (env) => env.PRONK_STAGE,
});

type Session = ReturnType<InstanceType<typeof Stage>["open"]>;

/** Methods of classes alone are called by RPC. */
class CountedSession extends RpcTarget {
  readonly #session: Session;
  #isOpen = false;
  #isClosed = false;

  constructor(session: Session) {
    super();
    this.#session = session;
    counts.sessions++;
  }

  async answer(message: Uint8Array): Promise<Uint8Array> {
    // A session's first message opens it.
    if (counts.fail > 0 && this.#isOpen) {
      counts.fail--;
      throw new Error("the isolate is gone");
    }
    this.#isOpen = true;
    const started = performance.now();
    const answered = await this.#session.answer(message);
    counts.ms += performance.now() - started;
    counts.answers++;
    return answered;
  }

  close(): void {
    if (!this.#isClosed) counts.sessions--;
    this.#isClosed = true;
    this.#session.close();
  }

  /** Its front's stub is gone. */
  [Symbol.dispose](): void {
    this.close();
  }
}

export default class CountedStage extends Stage {
  /** GET: what was counted; POST: so many messages from the path are not answered. */
  override fetch(request?: Request): Response {
    if (request?.method === "POST") counts.fail = Number(new URL(request.url).pathname.slice(1));
    return Response.json(counts);
  }

  override open(): Session {
    counts.invocations++;
    return new CountedSession(super.open()) as unknown as Session;
  }
}
