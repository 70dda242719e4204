// `@langchain/openai`: its message objects sent back, from `invoke` and from the chunks of `stream`, on both of OpenAI's APIs.

import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { run, schemas } from './common.mjs'

const tools = Object.entries(schemas).map(([name, parameters]) => ({
  type: 'function',
  function: { name, parameters },
}))
const part = ({ text, image }) =>
  image === undefined ? { type: 'text', text } : { type: 'image_url', image_url: { url: image } }

const echoing = (dialect, options, get) => ({
  dialect,
  echo: async (one, base) => {
    const bare = new ChatOpenAI({
      apiKey: 'k',
      model: 'tiny',
      maxRetries: 0,
      configuration: { baseURL: `${base}/v1` },
      ...options,
    })
    const model = one.tools ? bare.bindTools(tools) : bare
    const content = one.user.length === 1 ? one.user[0].text : one.user.map(part)
    const messages = [new SystemMessage(one.system), new HumanMessage({ content })]
    const reply = await get(model, messages)
    const results = reply.tool_calls.map(({ id }) => new ToolMessage({ content: one.toolResult, tool_call_id: id }))
    messages.push(reply, ...(results.length > 0 ? results : [new HumanMessage(one.nextQuestion)]))
    await model.invoke(messages)
  },
})

const invoke = (model, messages) => model.invoke(messages)
async function stream(model, messages) {
  let whole
  for await (const chunk of await model.stream(messages)) whole = whole === undefined ? chunk : whole.concat(chunk)
  return whole
}

await run({
  invoke: echoing('chat', {}, invoke),
  stream: echoing('chat', {}, stream),
  'responses, invoke': echoing('responses', { useResponsesApi: true }, invoke),
  'responses, stream': echoing('responses', { useResponsesApi: true }, stream),
  'responses, not stored': echoing('responses', { useResponsesApi: true, zdrEnabled: true }, invoke),
})
