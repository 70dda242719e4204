// The answers of the scripted upstream. They are determined by a script, so the client knows every byte that it must receive.
// A script is { id, answer: 'json' | 'stream', events, eventBytes, paceMs, fault, at, status }; it travels in the header x-soak.

export const MODEL = 'sim-model'

const words = 'Über den Dächern liegt Schnee; the watch is quiet, the kettle sings, ✓ noted. '

const piece = ({ id, eventBytes = 40 }, n) => `${id}/${n} ${words.repeat(Math.ceil(eventBytes / words.length))}`

const usageOf = ({ events = 1 }) => ({
  prompt_tokens: 640,
  total_tokens: 640 + events,
  completion_tokens: events,
  prompt_tokens_details: { cached_tokens: 512 },
})

const event = (value) => Buffer.from(`data: ${JSON.stringify(value)}\n\n`)

const chunkOf = ({ id }, choices, rest = {}) =>
  event({
    id: `chatcmpl-${id}`,
    object: 'chat.completion.chunk',
    created: 1_790_000_000,
    model: MODEL,
    choices,
    ...rest,
  })

/** The assistant's reply, as the next turn sends it back. */
export function replyText(script) {
  return Array.from({ length: script.events ?? 1 }, (_, n) => piece(script, n)).join('')
}

export function jsonAnswer(script) {
  const message = { role: 'assistant', content: replyText(script), refusal: null, tool_calls: [] }
  return Buffer.from(
    JSON.stringify({
      id: `chatcmpl-${script.id}`,
      object: 'chat.completion',
      created: 1_790_000_000,
      model: MODEL,
      choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
      usage: usageOf(script),
    }),
  )
}

/** The events of a stream, `script.events` of them with content. The usage event is included only if requested. */
export function streamEvents(script, withUsage) {
  const delta = (value, reason = null) =>
    chunkOf(script, [{ index: 0, delta: value, logprobs: null, finish_reason: reason }])
  return [
    delta({ role: 'assistant', content: '' }),
    ...Array.from({ length: script.events }, (_, n) => delta({ content: piece(script, n) })),
    delta({ content: '' }, 'stop'),
    ...(withUsage ? [chunkOf(script, [], { usage: usageOf(script) })] : []),
    Buffer.from('data: [DONE]\n\n'),
  ]
}

export function errorAnswer({ id, status }) {
  return Buffer.from(
    JSON.stringify({ error: { message: `scripted: ${id}`, type: 'scripted', param: null, code: status } }),
  )
}

/** Unique text of at least `bytes` bytes. */
export function promptText(id, bytes) {
  return `${id}: ${words.repeat(Math.ceil(bytes / words.length))}`
}
