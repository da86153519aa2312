/** An answer that a JSON Schema holds: the schema, what it is asked, and the answer as the value that it is. */
import type { VNode } from "preact";
import { useId } from "preact/hooks";
import type { LlmAnswer, LlmRequest } from "../engine.ts";
import { parseJson, parseSchema } from "./parse-schema.ts";
import { SCHEMA_EXAMPLES } from "./schema-examples.ts";
import { TokenView } from "./token-view.tsx";
import { useAnswer } from "./use-answer.ts";
import { useKeptText } from "./use-kept-text.ts";
import type { ViewProps } from "./view.ts";

/** A schema without bounds may be answered for ever. */
const MAX_TOKENS = 256;

const ALTERNATIVES = 5;

const INDENT = 2;

export function SchemaView({ engine }: ViewProps): VNode {
  const [first] = SCHEMA_EXAMPLES;
  const [prompt, setPrompt] = useKeptText("schema-message", first?.prompt ?? "");
  const [schema, setSchema] = useKeptText("schema", pretty(first?.schema));
  const { ask, stop, reset, running, text, answer, error, stopped } = useAnswer(engine);
  const parsed = parseSchema(schema);
  // What has been changed is none of them any more.
  const example = SCHEMA_EXAMPLES.findIndex((one) => pretty(one.schema) === schema);
  const id = useId();

  const choose = (index: string): void => {
    const chosen = SCHEMA_EXAMPLES[Number(index)];
    if (chosen === undefined) return;
    setPrompt(chosen.prompt);
    setSchema(pretty(chosen.schema));
    reset();
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (parsed.error === undefined) void ask(requestOf(prompt, parsed.value));
  };
  const wrong = parsed.error ?? error;

  return (
    <section class="view" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>JSON schema</h2>
      <p class="hint">
        Tokens that the schema does not allow cannot be chosen, so the answer fits it whatever the
        model would have liked to say.
      </p>
      <div class="columns">
        <form onSubmit={submit}>
          <label for={`${id}-example`}>Example</label>
          <select
            id={`${id}-example`}
            value={String(example)}
            onChange={({ currentTarget }) => choose(currentTarget.value)}
          >
            {example === -1 && <option value="-1">Your own</option>}
            {SCHEMA_EXAMPLES.map(({ name }, index) => (
              <option key={name} value={String(index)}>
                {name}
              </option>
            ))}
          </select>
          <label for={`${id}-prompt`}>Message</label>
          <textarea
            id={`${id}-prompt`}
            rows={3}
            value={prompt}
            onInput={({ currentTarget }) => setPrompt(currentTarget.value)}
          />
          <label for={`${id}-schema`}>Schema</label>
          <textarea
            id={`${id}-schema`}
            class="code"
            rows={14}
            spellcheck={false}
            value={schema}
            aria-invalid={wrong !== undefined}
            aria-describedby={wrong === undefined ? undefined : `${id}-wrong`}
            onInput={({ currentTarget }) => setSchema(currentTarget.value)}
          />
          {wrong !== undefined && (
            <p class="error" role="alert" id={`${id}-wrong`}>
              {wrong}
            </p>
          )}
          <p class="actions">
            <button type="submit" class="primary" disabled={parsed.error !== undefined || running}>
              Answer
            </button>
            {running && (
              <button type="button" onClick={stop}>
                Stop
              </button>
            )}
          </p>
        </form>
        {(running || stopped || text !== "" || answer !== undefined) && error === undefined && (
          <SchemaAnswer text={text} answer={answer} running={running} stopped={stopped} />
        )}
      </div>
    </section>
  );
}

function requestOf(prompt: string, schema: unknown): LlmRequest {
  return {
    messages: [{ role: "user", content: prompt }],
    response_format: {
      type: "json_schema",
      json_schema: { schema },
    },
    temperature: 0,
    max_tokens: MAX_TOKENS,
    logprobs: true,
    top_logprobs: ALTERNATIVES,
  };
}

interface SchemaAnswerProps {
  readonly text: string;
  readonly answer: LlmAnswer | undefined;
  readonly running: boolean;
  readonly stopped: boolean;
}

function SchemaAnswer({ text, answer, running, stopped }: SchemaAnswerProps): VNode {
  const whole = answer && answer.finish_reason === "stop" ? parseJson(text) : undefined;
  const isJson = whole !== undefined && whole.error === undefined;
  return (
    <div class="result">
      <h3>Answer</h3>
      <pre class="answer" aria-busy={running}>
        {isJson ? pretty(whole.value) : text}
      </pre>
      <p role="status" class={isJson ? "good" : "figures"}>
        {verdict({ text, answer, running, stopped }, whole)}
      </p>
      {answer?.logprobs && (
        <details>
          <summary>Token by token</summary>
          <p class="hint">
            The probabilities are the model’s own, before the schema: a surprising token is one that
            the schema asked for.
          </p>
          <TokenView tokens={answer.logprobs} />
        </details>
      )}
    </div>
  );
}

function verdict(
  { answer, running, stopped }: SchemaAnswerProps,
  whole: ReturnType<typeof parseJson> | undefined,
): string {
  if (running) return "Answering…";
  if (stopped || answer === undefined) return "Stopped: what there is is no whole JSON.";
  if (whole === undefined) return `Cut off after ${answer.usage.completion_tokens} tokens.`;
  if (whole.error !== undefined) return `This should not happen: the answer is ${whole.error}.`;
  return `Valid JSON: ${shapeOf(whole.value)}, ${answer.usage.completion_tokens} tokens.`;
}

function shapeOf(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value === null) return "null";
  if (typeof value !== "object") return `a ${typeof value}`;
  const members = Object.keys(value).length;
  return `an object of ${members} ${members === 1 ? "member" : "members"}`;
}

const pretty = (value: unknown): string => JSON.stringify(value, undefined, INDENT);
