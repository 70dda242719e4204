// The `@anthropic-ai/sdk` package: messages whole, streamed, and by its tool runner.

import Anthropic from '@anthropic-ai/sdk'
import { run, schemas } from './common.mjs'

const clientOf = (base) => new Anthropic({ apiKey: 'k', baseURL: base, maxRetries: 0 })
const tools = Object.entries(schemas).map(([name, input_schema]) => ({ name, input_schema }))

function part({ text, image }) {
  if (image === undefined) return { type: 'text', text }
  const [, media_type, data] = /^data:(.*?);base64,(.*)$/.exec(image)
  return { type: 'image', source: { type: 'base64', media_type, data } }
}

const body = (one, messages) => ({
  model: 'tiny',
  max_tokens: 100,
  system: one.system,
  messages,
  ...(one.tools ? { tools } : {}),
})

const echoing = (get, copy = ({ role, content }) => ({ role, content }), only = () => true) => ({
  dialect: 'messages',
  only,
  echo: async (one, base) => {
    const client = clientOf(base)
    const messages = [{ role: 'user', content: one.user.length === 1 ? one.user[0].text : one.user.map(part) }]
    const message = await get(client, body(one, messages))
    const calls = message.content.filter(({ type }) => type === 'tool_use')
    const results = calls.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: one.toolResult }))
    messages.push(copy(message), { role: 'user', content: results.length > 0 ? results : one.nextQuestion })
    await client.messages.create(body(one, messages))
  },
})

const create = (client, asked) => client.messages.create(asked)
const spoken = (one) => one.reply.text !== undefined && one.reply.calls === undefined
const textOf = ({ role, content }) => ({ role, content: content.find(({ type }) => type === 'text').text })
// Claude Code and others put a cache marker on the last block of the history.
const marked = ({ role, content }) => ({
  role,
  content: content.map((block, at) =>
    at === content.length - 1 && block.type !== 'thinking' ? { ...block, cache_control: { type: 'ephemeral' } } : block,
  ),
})
const withoutThinking = ({ role, content }) => ({ role, content: content.filter(({ type }) => type !== 'thinking') })

await run({
  create: echoing(create),
  'create, text only': echoing(create, textOf, spoken),
  'create, cache mark': echoing(create, marked),
  'create, no thinking': echoing(create, withoutThinking, (one) => one.reply.text !== undefined || one.tools),
  'stream helper': echoing((client, asked) => client.messages.stream(asked).finalMessage()),
  toolRunner: {
    dialect: 'messages',
    only: (one) => one.tools,
    echo: async (one, base) => {
      const runnable = tools.map((tool) => ({ ...tool, run: () => one.toolResult, parse: (input) => input }))
      const messages = [{ role: 'user', content: one.user[0].text }]
      await clientOf(base)
        .beta.messages.toolRunner({ ...body(one, messages), tools: runnable })
        .runUntilDone()
    },
  },
})
