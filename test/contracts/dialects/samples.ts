// A sample of each dialect for its contract: a conversation in its format, and the names of its recorded answers. Tests have no other table
// of dialects.

import type { JsonObject, JsonValue } from '../../../src/base/json.ts'
import type { Dialect } from '../../../src/base/records.ts'

export interface DialectSample {
  /** Names of recorded answers (test/recorded/vllm.json): the same kind of answer, whole and as a stream, without requested usage. */
  readonly whole: string
  readonly stream: string
  /** A request that limits its answer to seven tokens. */
  readonly bounded: JsonObject
  /** Undefined if the dialect has no messages. */
  readonly conversation: Conversation | undefined
}

/** Each is a message of the dialect. The call is of the tool `find`, with the id `call_1`. */
export interface Conversation {
  /** Body with the system prompt, wherever the dialect puts it. */
  readonly system: JsonObject
  readonly user: JsonValue
  readonly reply: JsonValue
  readonly call: JsonValue
  readonly result: JsonValue
  /** A user message with the text `look` and an image. */
  readonly picture: JsonValue
}

const user = { role: 'user', content: 'hi' }
const reply = { role: 'assistant', content: 'hello' }
const picture = 'data:image/png;base64,AAAA'

export const samples: Readonly<Record<Dialect, DialectSample>> = {
  chat: {
    whole: 'chat, ended by itself',
    stream: 'chat, stream ended by itself',
    bounded: { max_completion_tokens: 7 },
    conversation: {
      system: { messages: [{ role: 'system', content: 'Be brief.' }] },
      user,
      reply,
      call: {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'find', arguments: '{}' } }],
      },
      result: { role: 'tool', tool_call_id: 'call_1', content: 'found' },
      picture: {
        role: 'user',
        content: [
          { type: 'text', text: 'look' },
          { type: 'image_url', image_url: { url: picture } },
        ],
      },
    },
  },
  completions: {
    whole: 'completions',
    stream: 'completions, stream without usage',
    bounded: { max_tokens: 7 },
    conversation: undefined,
  },
  messages: {
    whole: 'anthropic messages',
    stream: 'anthropic messages, stream',
    bounded: { max_tokens: 7 },
    conversation: {
      system: { system: 'Be brief.' },
      user,
      reply,
      call: { role: 'assistant', content: [{ type: 'tool_use', id: 'call_1', name: 'find', input: {} }] },
      result: { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: 'found' }] },
      picture: {
        role: 'user',
        content: [
          { type: 'text', text: 'look' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
        ],
      },
    },
  },
  responses: {
    whole: 'responses',
    stream: 'responses, stream',
    bounded: { max_output_tokens: 7 },
    conversation: {
      system: { instructions: 'Be brief.' },
      user,
      reply: { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'hello' }] },
      call: { type: 'function_call', call_id: 'call_1', name: 'find', arguments: '{}' },
      result: { type: 'function_call_output', call_id: 'call_1', output: 'found' },
      picture: {
        role: 'user',
        content: [
          { type: 'input_text', text: 'look' },
          { type: 'input_image', image_url: picture },
        ],
      },
    },
  },
}
