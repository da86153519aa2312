/** Messages to prompt text. */

export interface ChatMessage {
  readonly role: string;
  readonly content: string | null;
  readonly [key: string]: unknown;
}

export interface RenderOptions {
  /** End with the opening of the assistant's turn. Default true. */
  readonly add_generation_prompt?: boolean;
  readonly tools?: readonly unknown[];
  readonly documents?: readonly unknown[];
  /** More variables for the template. */
  readonly [key: string]: unknown;
}

export interface ChatTemplate {
  /** The Jinja source. */
  readonly source: string;
  /** @throws PronkError "bad_request" when the template refuses the messages (raise_exception). */
  render(messages: readonly ChatMessage[], options?: RenderOptions): string;
}
