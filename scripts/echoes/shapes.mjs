// Encodes a reply of cases.mjs in the formats of vLLM 0.32: as JSON, and as the events of a stream, with its text split into pieces.

const usage = { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 }
const anthropicUsage = { input_tokens: 20, output_tokens: 5 }

const pieces = (text) => (text === '' ? [''] : (text.match(/[\s\S]{1,7}/g) ?? []))
const event = (data) => `data: ${JSON.stringify(data)}\n\n`
const named = (data) => `event: ${data.type}\n${event(data)}`

// Chat completions.

const chatHead = { id: 'chatcmpl-1', created: 1, model: 'tiny' }

function chatMessage({ text, refusal, reasoning, calls }) {
  const tool_calls = (calls ?? []).map(({ id, name, arguments: args }) => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  }))
  const rest = { refusal: refusal ?? null, annotations: null, audio: null, function_call: null }
  return {
    role: 'assistant',
    content: text ?? null,
    ...rest,
    tool_calls,
    reasoning: reasoning ?? null,
    reasoning_content: reasoning ?? null,
  }
}

const chatFinish = (reply) => (reply.calls === undefined ? 'stop' : 'tool_calls')

function* chatDeltas({ text, refusal, reasoning, calls }) {
  yield { role: 'assistant', content: '', reasoning_content: null }
  for (const piece of pieces(reasoning ?? '')) if (piece) yield { reasoning: piece, reasoning_content: piece }
  for (const piece of pieces(refusal ?? '')) if (piece) yield { refusal: piece }
  for (const piece of pieces(text ?? '')) if (piece) yield { content: piece }
  for (const [index, { id, name, arguments: args }] of (calls ?? []).entries()) {
    yield { tool_calls: [{ id, type: 'function', index, function: { name, arguments: '' } }] }
    for (const piece of pieces(args)) if (piece) yield { tool_calls: [{ index, function: { arguments: piece } }] }
  }
}

const chat = {
  whole: (reply) => ({
    ...chatHead,
    object: 'chat.completion',
    choices: [
      { index: 0, message: chatMessage(reply), logprobs: null, finish_reason: chatFinish(reply), stop_reason: null },
    ],
    usage,
  }),
  stream: (reply) => {
    const say = (delta, finish_reason) =>
      event({
        ...chatHead,
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta, logprobs: null, finish_reason }],
      })
    const said = [...chatDeltas(reply)].map((delta) => say(delta, null))
    const end = event({ ...chatHead, object: 'chat.completion.chunk', choices: [], usage })
    return [...said, say({}, chatFinish(reply)), end, 'data: [DONE]\n\n'].join('')
  },
}

// Responses.

function responseItems({ text, parts, refusal, reasoning, calls }) {
  const items = []
  if (reasoning !== undefined) {
    const content = [{ text: reasoning, type: 'reasoning_text' }]
    items.push({ id: 'rs_1', summary: [], type: 'reasoning', content, encrypted_content: null, status: null })
  }
  const texts = parts ?? (text === undefined ? [] : [text])
  const content = texts.map((said) => ({ annotations: [], text: said, type: 'output_text', logprobs: null }))
  if (refusal !== undefined) content.push({ refusal, type: 'refusal' })
  if (content.length > 0) {
    items.push({ id: 'msg_1', content, role: 'assistant', status: 'completed', type: 'message', phase: null })
  }
  for (const [at, { id, name, arguments: args }] of (calls ?? []).entries()) {
    items.push({
      arguments: args,
      call_id: id,
      name,
      type: 'function_call',
      id: `fc_${at + 1}`,
      namespace: null,
      status: 'completed',
    })
  }
  return items
}

function response(output, status) {
  return {
    id: 'resp_1',
    created_at: 1,
    incomplete_details: null,
    instructions: null,
    metadata: null,
    model: 'tiny',
    object: 'response',
    output,
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    status,
    usage: {
      input_tokens: 20,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 25,
    },
  }
}

function* itemEvents(item, output_index) {
  const item_id = item.id
  const parts = item.type === 'function_call' ? [] : item.content
  const empty = item.type === 'function_call' ? { ...item, arguments: '' } : { ...item, content: [] }
  yield { type: 'response.output_item.added', item: { ...empty, status: 'in_progress' }, output_index }
  if (item.type === 'function_call') {
    for (const delta of pieces(item.arguments)) {
      if (delta) yield { type: 'response.function_call_arguments.delta', delta, item_id, output_index }
    }
    yield {
      type: 'response.function_call_arguments.done',
      arguments: item.arguments,
      name: item.name,
      item_id,
      output_index,
    }
  }
  for (const [content_index, part] of parts.entries()) {
    const field = part.type === 'refusal' ? 'refusal' : 'text'
    const name = { output_text: 'output_text', refusal: 'refusal', reasoning_text: 'reasoning_text' }[part.type]
    const at = { item_id, output_index, content_index }
    yield { type: 'response.content_part.added', part: { ...part, [field]: '' }, ...at }
    for (const delta of pieces(part[field]))
      if (delta) yield { type: `response.${name}.delta`, delta, logprobs: [], ...at }
    yield { type: `response.${name}.done`, [field]: part[field], logprobs: [], ...at }
    yield { type: 'response.content_part.done', part, ...at }
  }
  yield { type: 'response.output_item.done', item, output_index }
}

const responses = {
  whole: (reply) => response(responseItems(reply), 'completed'),
  stream: (reply) => {
    const items = responseItems(reply)
    const events = [
      { type: 'response.created', response: response([], 'in_progress') },
      { type: 'response.in_progress', response: response([], 'in_progress') },
      ...items.flatMap((item, at) => [...itemEvents(item, at)]),
      { type: 'response.completed', response: response(items, 'completed') },
    ]
    return events.map((data, sequence_number) => named({ ...data, sequence_number })).join('')
  },
}

// Anthropic's messages.

function blocksOf({ text, parts, reasoning, calls }) {
  const blocks = []
  if (reasoning !== undefined) blocks.push({ type: 'thinking', thinking: reasoning, signature: 'c2ln' })
  for (const said of parts ?? (text === undefined ? [] : [text])) blocks.push({ type: 'text', text: said })
  for (const { id, name, arguments: args } of calls ?? []) {
    blocks.push({ type: 'tool_use', id, name, input: JSON.parse(args === '' ? '{}' : args) })
  }
  return blocks
}

const stopReason = (reply) => (reply.calls === undefined ? 'end_turn' : 'tool_use')
const messageHead = { id: 'msg_1', type: 'message', role: 'assistant', model: 'tiny' }

function* blockEvents(block, index, args) {
  const [field, empty] = {
    thinking: ['thinking', { ...block, thinking: '', signature: '' }],
    text: ['text', { ...block, text: '' }],
    tool_use: ['input', { ...block, input: {} }],
  }[block.type]
  yield { type: 'content_block_start', index, content_block: empty }
  const kind = { thinking: 'thinking_delta', text: 'text_delta', tool_use: 'input_json_delta' }[block.type]
  const name = field === 'input' ? 'partial_json' : field
  const deltas = pieces(field === 'input' ? args : block[field]).filter((piece) => piece !== '')
  for (const piece of deltas) yield { type: 'content_block_delta', index, delta: { type: kind, [name]: piece } }
  if (block.type === 'thinking') {
    yield { type: 'content_block_delta', index, delta: { type: 'signature_delta', signature: block.signature } }
  }
  yield { type: 'content_block_stop', index }
}

const messages = {
  whole: (reply) => ({
    ...messageHead,
    content: blocksOf(reply),
    stop_reason: stopReason(reply),
    stop_sequence: null,
    usage: anthropicUsage,
  }),
  stream: (reply) => {
    const blocks = blocksOf(reply)
    const before = blocks.length - (reply.calls?.length ?? 0)
    const events = [
      {
        type: 'message_start',
        message: {
          ...messageHead,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { ...anthropicUsage, output_tokens: 0 },
        },
      },
      ...blocks.flatMap((block, at) => [...blockEvents(block, at, reply.calls?.[at - before]?.arguments ?? '')]),
      { type: 'message_delta', delta: { stop_reason: stopReason(reply), stop_sequence: null }, usage: anthropicUsage },
      { type: 'message_stop' },
    ]
    return events.map(named).join('')
  },
}

/** By dialect: the JSON of a response, and the text of its stream. */
export const shapes = { chat, responses, messages }
