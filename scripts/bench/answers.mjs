// The precomputed answers of the mock upstream: vLLM's answer to a chat as JSON, and as a stream of 200 events.

/** Served names. The second streams one event per 2 ms; the third sends one event at once, then 20 events per 10 ms. */
export const MODEL = 'bench'
export const PACED_MODEL = 'bench-paced'
export const BURST_MODEL = 'bench-burst'
export const MODELS = [MODEL, PACED_MODEL, BURST_MODEL]

/** Events per stream, including `[DONE]`. The usage event, which a client may request, is additional. */
export const STREAM_EVENTS = 200

/** The assistant's reply in the JSON answer. A client that continues the conversation sends it back. */
export const REPLY =
  'The lease ends on the last day of March, unless one side gives notice by the end of the year; then it goes on for twelve months.'

const id = 'chatcmpl-0b9d3c5f7a1e4d2c8b6a9f0e1d2c3b4a'
const created = 1_790_000_000
const usage = {
  prompt_tokens: 1_000,
  total_tokens: 1_198,
  completion_tokens: 198,
  prompt_tokens_details: { cached_tokens: 992 },
}

export const jsonAnswer = Buffer.from(
  JSON.stringify({
    ...{ id, object: 'chat.completion', created, model: MODEL },
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: REPLY, refusal: null, tool_calls: [] },
        logprobs: null,
        finish_reason: 'stop',
        stop_reason: null,
      },
    ],
    ...{ service_tier: null, system_fingerprint: null, usage, prompt_logprobs: null, kv_transfer_params: null },
  }),
)

const event = (rest) => {
  const data = JSON.stringify({ id, object: 'chat.completion.chunk', created, model: MODEL, ...rest })
  return Buffer.from(`data: ${data}\n\n`)
}
const delta = (fields, finish_reason = null) =>
  event({ choices: [{ index: 0, delta: fields, logprobs: null, finish_reason }] })

export const usageEvent = event({ choices: [], usage })
export const doneEvent = Buffer.from('data: [DONE]\n\n')

/** All events except `usageEvent` and `doneEvent`. */
export const deltaEvents = [
  delta({ role: 'assistant', content: '' }),
  ...Array.from({ length: STREAM_EVENTS - 3 }, (_, n) => delta({ content: ` word${n}` })),
  delta({}, 'stop'),
]

/** The whole stream without usage. */
export const streamAnswer = Buffer.concat([...deltaEvents, doneEvent])
