// The questions and replies of the scripted upstream, per dialect. A case is one reply whose echo is recorded; `text` cases offer no tools.

const system = 'You are terse.'
const ask = 'What is the weather in Rome?'
const pixel =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

const plain = 'Rome: 18 °C — "mild" ✓ 𝄞\n\tand\\or <dry> & calm.'
// Arguments as models write them: spaces, escapes, key order, numbers that languages format differently, explicit nulls.
const oddArguments =
  '{ "unit" :"\\u00b0C", "city":"Zürich \\ud834\\udd1e" ,\n "days":1.0, "big":12345678901234567890, "at":null }'

const call = (id, name, args) => ({ id, name, arguments: args })

/** Replies by content; each dialect encodes them in its own format. `user` replaces the question. */
const replies = [
  { name: 'plain text', text: plain },
  { name: 'empty text', text: '' },
  { name: 'white space', text: '  \n' },
  { name: 'line separator', text: 'a\u2028b' },
  { name: 'NUL', text: 'a\u0000b' },
  { name: 'lone surrogate', text: 'a\ud83db' },
  { name: 'one call', calls: [call('call_1', 'weather', '{"city": "Rome"}')] },
  { name: 'text and a call', text: 'I look.', calls: [call('call_1', 'weather', '{"city":"Rome"}')] },
  {
    name: 'parallel calls',
    calls: [call('call_1', 'weather', '{"city": "Rome"}'), call('call_2', 'weather', oddArguments)],
  },
  { name: 'a call without arguments', calls: [call('call_1', 'clock', '')] },
  { name: 'a call with empty arguments', calls: [call('call_1', 'clock', '{}'), call('call_2', 'clock', '{ }')] },
  { name: 'reasoning and text', reasoning: 'Rome is warm.', text: plain },
  { name: 'reasoning and a call', reasoning: 'I must look.', calls: [call('call_1', 'weather', '{"city": "Rome"}')] },
  { name: 'reasoning alone', reasoning: 'I think and think' },
  { name: 'refusal', refusal: 'I cannot say.' },
  { name: 'image in the question', text: plain, user: [{ text: 'What is this?' }, { image: pixel }] },
  { name: 'question in two parts', text: plain, user: [{ text: 'One.' }, { text: 'Two.' }] },
  { name: 'text in two parts', parts: ['First.', 'Second.'] },
]

/** Which replies a dialect can express. Anthropic has no refusal text, and chat no text in several parts. */
const expresses = {
  chat: (reply) => reply.parts === undefined,
  responses: () => true,
  messages: (reply) => reply.refusal === undefined,
}

/** All cases, as `GET /cases` returns them to runners. */
export const cases = Object.entries(expresses).flatMap(([dialect, can]) =>
  replies.filter(can).map((reply) => ({
    dialect,
    name: reply.name,
    system,
    user: reply.user ?? [{ text: ask }],
    tools: reply.calls !== undefined,
    reply,
  })),
)

/** The runners' tool result, and their next question. */
export const toolResult = '18'
export const nextQuestion = 'And tomorrow?'
