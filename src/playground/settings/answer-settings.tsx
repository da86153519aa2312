/** How the model answers: the system prompt, and how tokens are chosen. */
import type { VNode } from "preact";
import type { Chat } from "../state/chat.ts";
import {
  DEFAULT_SETTINGS,
  type Settings,
  SLIDERS,
  type Slider,
  wrongSetting,
} from "../state/settings.ts";

interface PartProps {
  readonly settings: Settings;
  readonly set: (change: Partial<Settings>) => void;
}

export function AnswerSettings({ chat }: { readonly chat: Chat }): VNode {
  const settings = chat.settings.value;
  const set = (change: Partial<Settings>): void => {
    chat.settings.value = { ...chat.settings.peek(), ...change };
  };
  const { model, system } = settings;
  return (
    <section aria-labelledby="answers-title">
      <h3 id="answers-title">Answers</h3>
      <p class="field">
        <label for="system">System prompt</label>
        <textarea
          id="system"
          rows={3}
          aria-describedby="system-hint"
          value={system}
          onInput={({ currentTarget }) => set({ system: currentTarget.value })}
        />
        <span class="hint" id="system-hint">
          Empty: what the model’s template says by itself.
        </span>
      </p>
      {SLIDERS.map((slider) => (
        <SliderField key={slider.name} slider={slider} settings={settings} set={set} />
      ))}
      <NumberField
        name="maxTokens"
        label="Most tokens"
        hint="Empty: as the context allows."
        settings={settings}
        set={set}
      />
      <NumberField
        name="seed"
        label="Seed"
        hint="The same seed and request: the same answer. Empty: another each time."
        settings={settings}
        set={set}
      />
      <p class="field">
        <label for="stop">Stop texts</label>
        <textarea
          id="stop"
          rows={2}
          aria-describedby="stop-hint"
          value={settings.stop}
          onInput={({ currentTarget }) => set({ stop: currentTarget.value })}
        />
        <span class="hint" id="stop-hint">
          One a line; an answer ends before any of them.
        </span>
      </p>
      <p class="field">
        <label class="check">
          <input
            type="checkbox"
            checked={settings.logprobs}
            onChange={({ currentTarget }) => set({ logprobs: currentTarget.checked })}
          />
          Keep each token’s probability and its alternatives
        </label>
      </p>
      <p>
        <button type="button" onClick={() => set({ ...DEFAULT_SETTINGS, model, system })}>
          Reset all but the system prompt
        </button>
      </p>
    </section>
  );
}

function SliderField({
  slider: { name, label, help, min, max, step },
  settings,
  set,
}: PartProps & { readonly slider: Slider }): VNode {
  const value = settings[name];
  return (
    <p class="field slider-field">
      <label for={name}>{label}</label>
      <output for={name}>{value}</output>
      <input
        type="range"
        id={name}
        min={min}
        max={max}
        step={step}
        value={value}
        aria-describedby={`${name}-hint`}
        onInput={({ currentTarget }) => set({ [name]: currentTarget.valueAsNumber })}
      />
      <span class="hint" id={`${name}-hint`}>
        {help}
      </span>
    </p>
  );
}

function NumberField({
  name,
  label,
  hint,
  settings,
  set,
}: PartProps & {
  readonly name: "seed" | "maxTokens";
  readonly label: string;
  readonly hint: string;
}): VNode {
  const wrong = wrongSetting(settings, name);
  return (
    <p class="field">
      <label for={name}>{label}</label>
      <input
        id={name}
        inputMode="numeric"
        autocomplete="off"
        value={settings[name]}
        aria-invalid={wrong !== undefined}
        aria-describedby={`${name}-hint`}
        onInput={({ currentTarget }) => set({ [name]: currentTarget.value })}
      />
      <span class={wrong === undefined ? "hint" : "error"} id={`${name}-hint`}>
        {wrong ?? hint}
      </span>
    </p>
  );
}
