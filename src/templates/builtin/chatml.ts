/** ChatML: `<|im_start|>role`, the text, `<|im_end|>`. Used by SmolLM2, among many. */
export const CHATML_TEMPLATE: string = `{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- endif -%}`;
