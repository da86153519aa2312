/** Chat templates that write tools in the manner of the models of each format; the loops and filters are theirs. */

const TURN = "{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}";
const OPENING = "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}";

/** Llama 3.1 and 3.2: one call in a message, results of role ipython, contents looked through for images. */
const LLAMA = `{{- bos_token }}
{%- set images = namespace(found=false) %}
{%- for message in messages %}
    {%- for content in message['content'] %}
        {%- if content['type'] == 'image' %}{%- set images.found = true %}{%- endif %}
    {%- endfor %}
{%- endfor %}
{%- if tools is not none %}
    {{- '<|start_header_id|>system<|end_header_id|>\\n\\nEnvironment: ipython\\n' }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- '\\n\\n' }}
    {%- endfor %}
    {{- '<|eot_id|>' }}
{%- endif %}
{%- for message in messages %}
    {%- if 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception('This model only supports single tool-calls at once!') }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        ${TURN}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- '}<|eot_id|>' }}
    {%- elif message.role == 'tool' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' }}
        {{- {'output': message.content} | tojson }}
        {{- '<|eot_id|>' }}
    {%- else %}
        ${TURN}
        {{- message.content | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
${OPENING}`;

/** Llama 3.2 with Python's calls. */
const PYTHONIC = `{{- bos_token }}
{%- for t in tools or [] %}{{- t | tojson(indent=4) }}{%- endfor %}
{%- for message in messages %}
    {%- if 'tool_calls' in message %}
        ${TURN}
        {{- '[' -}}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- tool_call.name + '(' -}}
            {%- for param in tool_call.arguments %}
                {{- param + '=' -}}
                {{- '%s' | format(tool_call.arguments[param]) -}}
                {% if not loop.last %}, {% endif %}
            {%- endfor %}
            {{- ')' -}}
            {% if not loop.last %}, {% endif %}
        {%- endfor %}
        {{- ']<|eot_id|>' -}}
    {%- elif message.role == 'tool' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' }}
        {{- {'output': message.content} | tojson }}
        {{- '<|eot_id|>' }}
    {%- else %}
        ${TURN}
        {{- message.content | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
${OPENING}`;

/** Hermes 2 Pro and 3: types as Python has them, the arguments first, results with the function's name. */
const HERMES = `{%- macro python_type(spec) %}
    {%- set names = {'string': 'str', 'number': 'float', 'integer': 'int', 'boolean': 'bool'} %}
    {%- if names[spec.type] is defined %}{{- names[spec.type] }}{%- else %}{{- 'Any' }}{%- endif %}
{%- endmacro %}
{{- bos_token }}
{%- if tools is iterable and tools | length > 0 %}
    {{- '<|start_header_id|>system<|end_header_id|>\\n\\n<tools>' }}
    {%- for tool in tools %}
        {%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
        {{- '{"name": "' + tool.name + '", "description": "' + tool.name + '(' }}
        {%- for name, fields in tool.parameters.properties|items %}
            {{- name + ': ' + python_type(fields) }}
            {%- if not loop.last %}{{- ', ' }}{%- endif %}
        {%- endfor %}
        {{- ') - ' + tool.description + '\\n' }}
        {%- for name, fields in tool.parameters.properties|items %}
            {{- name + '(' + python_type(fields) + '): ' + fields.description|trim }}
        {%- endfor %}
        {{- '", "parameters": ' + tool.parameters|tojson + '}\\n' }}
    {%- endfor %}
    {{- '</tools><|eot_id|>' }}
{%- endif %}
{%- for message in messages %}
    ${TURN}
    {%- if message.role == 'tool' %}
        {%- if not message.name is defined %}{{- raise_exception('a name is required') }}{%- endif %}
        {{- '<tool_response>\\n{"name": "' + message.name + '", "content": ' + message.content|tojson + '}\\n</tool_response>' }}
    {%- else %}
        {{- message.content }}
        {%- for tool_call in message.tool_calls or [] %}
            {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '\\n<tool_call>\\n{"arguments": ' + tool_call.arguments|tojson }}
            {{- ', "name": "' + tool_call.name + '"}\\n</tool_call>' }}
        {%- endfor %}
    {%- endif %}
    {{- '<|eot_id|>' }}
{%- endfor %}
${OPENING}`;

/** Takes neither tools nor system messages, and wants turns that alternate. */
const PICKY = `{{- bos_token }}
{%- for message in messages %}
    {%- if message.role not in ['user', 'assistant'] %}{{- raise_exception('unknown role') }}{%- endif %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{- raise_exception('turns alternate') }}{%- endif %}
    ${TURN}
    {{- message.content + '<|eot_id|>' }}
{%- endfor %}
${OPENING}`;

export const TOOL_TEMPLATES: Readonly<Record<"llama" | "pythonic" | "hermes" | "picky", string>> = {
  llama: LLAMA,
  pythonic: PYTHONIC,
  hermes: HERMES,
  picky: PICKY,
};
