/**
 * Llama 2 Chat: `[INST] text [/INST]`, with the system message inside the first one. A user's turn
 * already asks for the answer, so there is no generation prompt.
 *
 * Source: the prompt format of meta-llama/llama, and its Hugging Face template.
 */
export const LLAMA2_TEMPLATE: string = `{%- if messages[0]['role'] == 'system' -%}
{%- set turns = messages[1:] -%}
{%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' -%}
{%- else -%}
{%- set turns = messages -%}
{%- set system = '' -%}
{%- endif -%}
{%- for message in turns -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif -%}
{%- set content = (system if loop.first else '') + message['content'] -%}
{%- if message['role'] == 'user' -%}
{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
{%- elif message['role'] == 'assistant' -%}
{{ ' ' + content.strip() + ' ' + eos_token }}
{%- endif -%}
{%- endfor -%}`;
