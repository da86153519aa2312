/** A model that calls functions of this page: its call is shown, run on a click, and answered with. */
import type { VNode } from "preact";
import { useId, useState } from "preact/hooks";
import type { RequestMessage } from "../../server/schemas/chat.ts";
import type { LlmRequest } from "../engine.ts";
import { DEMO_TOOLS, REQUEST_TOOLS, runDemoTool } from "./demo-tools.ts";
import { useAnswer } from "./use-answer.ts";
import { useKeptText } from "./use-kept-text.ts";
import type { ViewProps } from "./view.ts";

const QUESTIONS = [
  "What is 12 * 34?",
  "What time is it in Tokyo?",
  "Count the letter e in the word cheese.",
];

const MAX_TOKENS = 160;

/** Calls in a row that are run by themselves, and answered with text then. */
const MAX_ROUNDS = 3;

type Call = NonNullable<RequestMessage["tool_calls"]>[number];

type Choice = "required" | "auto";

export function ToolsView({ engine }: ViewProps): VNode {
  const [question, setQuestion] = useKeptText("tools", QUESTIONS[0] ?? "");
  const [choice, setChoice] = useState<Choice>("required");
  const [automatic, setAutomatic] = useState(false);
  /** What has been said so far, the question first. */
  const [messages, setMessages] = useState<readonly RequestMessage[]>([]);
  const { ask, stop, running, text, error, stopped } = useAnswer(engine);
  const id = useId();

  const next = async (
    so: readonly RequestMessage[],
    toolChoice: Choice | "none",
  ): Promise<void> => {
    setMessages(so);
    const answer = await ask(requestOf(so, toolChoice));
    if (answer === undefined) return;
    const calls = answer.tool_calls as readonly Call[];
    const said: RequestMessage = {
      role: "assistant",
      content: answer.text === "" ? null : answer.text,
      ...(calls.length > 0 && { tool_calls: [...calls] }),
    };
    const all = [...so, said];
    setMessages(all);
    if (calls.length > 0 && automatic) await runCalls(all, calls);
  };
  const runCalls = (so: readonly RequestMessage[], calls: readonly Call[]): Promise<void> => {
    const results = calls.map(resultOf);
    const rounds = so.filter((message) => message.tool_calls).length;
    // Who has its results answers: without this, a small model that has to call would go on calling.
    return next([...so, ...results], choice === "auto" && rounds < MAX_ROUNDS ? "auto" : "none");
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    void next([{ role: "user", content: question }], choice);
  };
  const open = running ? [] : callsWithoutResult(messages);

  return (
    <section class="view" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>Tools</h2>
      <p class="hint">
        The model may call these functions. They run in this page, when you say so, and what they
        return goes back to the model. A model of this size needs to be told that it has to call
        one.
      </p>
      <ToolList />
      <div class="columns">
        <form onSubmit={submit}>
          <label for={`${id}-question`}>Question</label>
          <textarea
            id={`${id}-question`}
            rows={2}
            value={question}
            onInput={({ currentTarget }) => setQuestion(currentTarget.value)}
          />
          <p class="examples">
            {QUESTIONS.map((one) => (
              <button type="button" key={one} onClick={() => setQuestion(one)}>
                {one}
              </button>
            ))}
          </p>
          <label for={`${id}-choice`}>Calls</label>
          <select
            id={`${id}-choice`}
            value={choice}
            onChange={({ currentTarget }) => setChoice(currentTarget.value as Choice)}
          >
            <option value="required">The model has to call a function</option>
            <option value="auto">The model decides</option>
          </select>
          <label class="check">
            <input
              type="checkbox"
              checked={automatic}
              onChange={({ currentTarget }) => setAutomatic(currentTarget.checked)}
            />
            Run calls without asking me
          </label>
          <p class="actions">
            <button type="submit" class="primary" disabled={running || question.trim() === ""}>
              Ask
            </button>
            {running && (
              <button type="button" onClick={stop}>
                Stop
              </button>
            )}
          </p>
        </form>
        <div class="result">
          {messages.length > 0 && (
            <ol class="steps" aria-label="What happened" aria-live="polite">
              {messages.map((message, index) => (
                <Step key={index} message={message} />
              ))}
              {running && (
                <li class="step" aria-busy="true">
                  <h3>The model</h3>
                  <p>{text === "" ? "…" : text}</p>
                </li>
              )}
            </ol>
          )}
          {open.length > 0 && (
            <p class="actions">
              <button type="button" class="primary" onClick={() => void runCalls(messages, open)}>
                Run {open.map((call) => call.function.name).join(", ")}
              </button>
            </p>
          )}
          {stopped && <p class="hint">Stopped.</p>}
          {error !== undefined && (
            <p class="error" role="alert">
              {error}
            </p>
          )}
        </div>
      </div>
    </section>
  );
}

function ToolList(): VNode {
  return (
    <details class="tool-list">
      <summary>{DEMO_TOOLS.length} functions</summary>
      <dl>
        {DEMO_TOOLS.map(({ name, description, parameters }) => (
          <div key={name}>
            <dt>
              <code>
                {name}({Object.keys(parameters.properties as object).join(", ")})
              </code>
            </dt>
            <dd>{description}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function Step({ message }: { readonly message: RequestMessage }): VNode {
  const content = typeof message.content === "string" ? message.content : "";
  const calls = message.tool_calls ?? [];
  return (
    <li class={`step step-${message.role}`}>
      <h3>{calls.length > 0 ? "The model calls" : TITLES[message.role]}</h3>
      {content !== "" && <p>{content}</p>}
      {calls.map((call) => (
        <pre key={call.id}>
          {call.function.name}({spaced(call.function.arguments)})
        </pre>
      ))}
      {content === "" && calls.length === 0 && <p class="hint">Nothing.</p>}
    </li>
  );
}

const TITLES: Readonly<Record<string, string>> = {
  user: "You",
  assistant: "The model answers",
  tool: "The function returns",
};

function requestOf(messages: readonly RequestMessage[], choice: Choice | "none"): LlmRequest {
  return {
    messages: [...messages],
    tools: REQUEST_TOOLS,
    tool_choice: choice,
    parallel_tool_calls: false,
    temperature: 0,
    max_tokens: MAX_TOKENS,
  };
}

function resultOf(call: Call): RequestMessage {
  const { name, arguments: json } = call.function;
  return { role: "tool", tool_call_id: call.id, content: runDemoTool(name, json) };
}

/** Of the last message: what nobody has run yet. */
function callsWithoutResult(messages: readonly RequestMessage[]): readonly Call[] {
  return messages.at(-1)?.tool_calls ?? [];
}

function spaced(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), undefined, 1).replace(/\n\s*/g, " ");
  } catch {
    return json;
  }
}
