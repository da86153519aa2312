/**
 * Llama 3: each message under a header with its role, ended by `<|eot_id|>`.
 *
 * Source: the prompt format of meta-llama/llama3, and its Hugging Face template.
 */
export const LLAMA3_TEMPLATE: string = `{{- bos_token }}
{%- for message in messages -%}
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif -%}`;
