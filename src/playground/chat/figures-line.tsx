/** What an answer cost, below it; and how fast it comes, while it does. */
import type { VNode } from "preact";
import { count, milliseconds, rate } from "../parts/numbers.ts";
import type { AnswerFigures } from "../state/conversation.ts";
import type { LiveFigures } from "../state/live-figures.ts";

export function FiguresLine({ figures }: { readonly figures: AnswerFigures }): VNode {
  const { usage, timings, firstTokenMs } = figures;
  const speed = timings.predicted_per_second || figures.perSecond;
  const { prompt_tokens: prompt, completion_tokens: tokens } = usage;
  const cached = usage.prompt_tokens_details.cached_tokens;
  const ahead = timings.draft_n_accepted;
  return (
    <dl class="figures">
      {speed !== undefined && <Figure name="Speed" value={`${rate(speed)} tokens/s`} />}
      {firstTokenMs !== undefined && (
        <Figure name="First token" value={milliseconds(firstTokenMs)} />
      )}
      <Figure name="Answer" value={count(tokens, "token")} />
      <Figure
        name="Prompt"
        value={count(prompt, "token") + (cached > 0 ? `, ${cached} of them cached` : "")}
      />
      {ahead > 0 && <Figure name="Guessed right" value={count(ahead, "token")} />}
    </dl>
  );
}

function Figure({ name, value }: { readonly name: string; readonly value: string }): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

export function RunningLine({ live }: { readonly live: LiveFigures }): VNode {
  const first = live.firstTokenMs.value;
  const speed = live.perSecond.value;
  return (
    <p class="running">
      <span class="pulse" aria-hidden="true" />
      {first === undefined ? "Reading the prompt…" : "Answering…"}
      {speed !== undefined && <span class="hint"> {rate(speed)} tokens/s</span>}
    </p>
  );
}
