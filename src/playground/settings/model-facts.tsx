/** Which model answers, where, on what and why, and what it takes. */
import type { VNode } from "preact";
import type { EngineFacts } from "../engine.ts";
import { usePage } from "../page-context.ts";
import { count, megabytes } from "../parts/numbers.ts";
import type { Chat } from "../state/chat.ts";

export function ModelFacts({ chat }: { readonly chat: Chat }): VNode | null {
  const facts = usePage().facts.value;
  if (facts === undefined) return null;
  return (
    <>
      {facts.adapters.length > 0 && <AdapterChoice chat={chat} facts={facts} />}
      <dl class="facts">
        <Fact name="Model" value={facts.model} />
        <Fact name="Runs in" value={facts.place} />
        <Fact name="Backend" value={facts.backend} why={facts.backendReason} />
        <Fact name="Kernels" value={facts.kernel} why={facts.kernelReason} />
        {facts.threads !== undefined && (
          <Fact name="Threads" value={String(facts.threads)} why={facts.threadsReason} />
        )}
        <Fact name="Context" value={count(facts.ctx, "token")} />
        {facts.memory && <Fact name="Memory" value={memoryText(facts.memory)} />}
      </dl>
      <ContextUse chat={chat} ctx={facts.ctx} />
    </>
  );
}

function memoryText({ weights, kv, total }: NonNullable<EngineFacts["memory"]>): string {
  return `${megabytes(total)}: weights ${megabytes(weights)}, context ${megabytes(kv)}`;
}

interface FactProps {
  readonly name: string;
  readonly value: string;
  readonly why?: string | undefined;
}

function Fact({ name, value, why }: FactProps): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value}
        {why && (
          <details>
            <summary>Why</summary>
            <p class="hint">{why}</p>
          </details>
        )}
      </dd>
    </div>
  );
}

function AdapterChoice({
  chat,
  facts,
}: {
  readonly chat: Chat;
  readonly facts: EngineFacts;
}): VNode {
  const { model } = chat.settings.value;
  const isKnown = facts.adapters.includes(model);
  return (
    <p class="field">
      <label for="adapter">Model or adapter that answers</label>
      <select
        id="adapter"
        value={isKnown ? model : ""}
        onChange={({ currentTarget }) => {
          chat.settings.value = { ...chat.settings.peek(), model: currentTarget.value };
        }}
      >
        <option value="">{facts.model}</option>
        {facts.adapters.map((name) => (
          <option key={name} value={name}>
            {name} (adapter)
          </option>
        ))}
      </select>
    </p>
  );
}

/** How much of the context the conversation takes, as its last answer counted it. */
function ContextUse({ chat, ctx }: { readonly chat: Chat; readonly ctx: number }): VNode | null {
  const used = chat.path.value.findLast(({ figures }) => figures)?.figures?.usage.total_tokens;
  if (used === undefined) return null;
  return (
    <p class="context-use">
      <label for="context-use">
        {count(used, "token")} of the context are used: {Math.round((used / ctx) * 100)} %
      </label>
      <meter id="context-use" min={0} max={ctx} high={ctx * 0.9} value={used} />
    </p>
  );
}
