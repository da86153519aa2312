/** One answer at a time of the engine, for a view: what has come so far, and what went wrong. */
import { useEffect, useRef, useState } from "preact/hooks";
import { PronkError } from "../../errors.ts";
import type { ToolCallDelta } from "../../server/chat-run.ts";
import type { LlmAnswer, LlmRequest, PlaygroundEngine } from "../engine.ts";

export interface AnswerState {
  readonly running: boolean;
  readonly text: string;
  /** Set when it has come to its end. */
  readonly answer?: LlmAnswer;
  readonly error?: string;
  /** A person has ended it. */
  readonly stopped: boolean;
}

export interface AnswerControl extends AnswerState {
  /** Ends what runs, if anything. @returns the whole answer; undefined where it was stopped or failed. */
  ask(request: LlmRequest): Promise<LlmAnswer | undefined>;
  stop(): void;
  reset(): void;
}

const NOTHING: AnswerState = { running: false, text: "", stopped: false };

/** @param onCalls the model's calls as they are written, for views that have tools. */
export function useAnswer(
  engine: PlaygroundEngine,
  onCalls?: (deltas: readonly ToolCallDelta[]) => void,
): AnswerControl {
  const [state, setState] = useState(NOTHING);
  const running = useRef<AbortController | undefined>(undefined);
  const end = (): void => {
    running.current?.abort();
    running.current = undefined;
  };
  // A view that is left, or whose engine is gone, wants no more of it.
  useEffect(() => end, [engine]);

  const ask = async (request: LlmRequest): Promise<LlmAnswer | undefined> => {
    end();
    const own = new AbortController();
    running.current = own;
    let text = "";
    const show = (more: Partial<AnswerState>): void => {
      if (running.current === own) setState({ ...NOTHING, running: true, text, ...more });
    };
    show({});
    try {
      for await (const part of engine.chat(request, own.signal)) {
        if (own.signal.aborted) break;
        text += part.text;
        if (part.tool_calls !== undefined) onCalls?.(part.tool_calls);
        if (part.answer !== undefined) {
          show({ running: false, answer: part.answer });
          return part.answer;
        }
        show({});
      }
    } catch (error) {
      if (!own.signal.aborted) show({ running: false, error: messageOf(error) });
    }
    return undefined;
  };
  return {
    ...state,
    ask,
    stop: () => {
      end();
      setState((was) => ({ ...was, running: false, stopped: was.running }));
    },
    reset: () => {
      end();
      setState(NOTHING);
    },
  };
}

/** What an engine refused, in its own words; of anything else that it was unexpected. */
export function messageOf(error: unknown): string {
  if (error instanceof PronkError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
