// The `openai` package of Node: chat completions and responses, whole, streamed, and by its helpers.

import OpenAI from 'openai'
import { run, schemas } from './common.mjs'

const clientOf = (base) => new OpenAI({ apiKey: 'k', baseURL: `${base}/v1`, maxRetries: 0 })
const model = 'tiny'

const chatPart = ({ text, image }) =>
  image === undefined ? { type: 'text', text } : { type: 'image_url', image_url: { url: image } }
const chatUser = ({ user }) => (user.length === 1 ? user[0].text : user.map(chatPart))
const chatStart = (one) => [
  { role: 'system', content: one.system },
  { role: 'user', content: chatUser(one) },
]
const chatTools = Object.entries(schemas).map(([name, parameters]) => ({
  type: 'function',
  function: { name, parameters },
}))
const chatBody = (one, messages) => ({ model, messages, ...(one.tools ? { tools: chatTools } : {}) })
const chatNext = (one, message) =>
  message.tool_calls?.length > 0
    ? message.tool_calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: one.toolResult }))
    : [{ role: 'user', content: one.nextQuestion }]

/** Sends the reply back as the message object that the SDK made of it, or what `copy` makes of that. */
const chat = (get, copy = (message) => message) => ({
  dialect: 'chat',
  echo: async (one, base) => {
    const client = clientOf(base)
    const messages = chatStart(one)
    const message = await get(client, chatBody(one, messages))
    messages.push(copy(message), ...chatNext(one, message))
    await client.chat.completions.create(chatBody(one, messages))
  },
})

const responsesPart = ({ text, image }) =>
  image === undefined ? { type: 'input_text', text } : { type: 'input_image', image_url: image, detail: 'auto' }
const responsesTools = Object.entries(schemas).map(([name, parameters]) => ({
  type: 'function',
  name,
  parameters,
  strict: false,
}))
const responsesBody = (one, input) => ({
  model,
  instructions: one.system,
  input,
  ...(one.tools ? { tools: responsesTools } : {}),
})

const responses = (get, copy = (response) => response.output, only = () => true) => ({
  dialect: 'responses',
  only,
  echo: async (one, base) => {
    const client = clientOf(base)
    const content = one.user.length === 1 ? one.user[0].text : one.user.map(responsesPart)
    const input = [{ role: 'user', content }]
    const response = await get(client, responsesBody(one, input))
    const calls = response.output.filter(({ type }) => type === 'function_call')
    const results = calls.map(({ call_id }) => ({ type: 'function_call_output', call_id, output: one.toolResult }))
    input.push(...copy(response), ...(results.length > 0 ? results : [{ role: 'user', content: one.nextQuestion }]))
    await client.responses.create(responsesBody(one, input))
  },
})

const whole = async (client, body) => (await client.chat.completions.create(body)).choices[0].message
const helper = (client, body) => client.chat.completions.stream(body).finalMessage()

/** As a chat page does it: the text of the deltas, put together by hand. */
async function byHand(client, body) {
  let content = ''
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
    content += chunk.choices[0]?.delta?.content ?? ''
  }
  return { role: 'assistant', content }
}

const lastResponse = async (client, body) => {
  let response
  for await (const event of await client.responses.create({ ...body, stream: true })) {
    if (event.type === 'response.completed') response = event.response
  }
  return response
}

const spoken = (one) => one.reply.text !== undefined && one.reply.calls === undefined

await run({
  create: chat(whole),
  'create, text only': {
    ...chat(whole, ({ role, content }) => ({ role, content })),
    only: spoken,
  },
  parse: {
    ...chat(async (client, body) => (await client.chat.completions.parse(body)).choices[0].message),
    // With tools it requires strict ones, and is then the same as runTools.
    only: (one) => !one.tools,
  },
  'stream helper': chat(helper),
  'stream by hand': { ...chat(byHand), only: spoken },
  runTools: {
    dialect: 'chat',
    only: (one) => one.tools,
    echo: async (one, base) => {
      const tools = Object.entries(schemas).map(([name, parameters]) => ({
        type: 'function',
        function: { name, parameters, function: () => one.toolResult, parse: JSON.parse },
      }))
      await clientOf(base)
        .chat.completions.runTools({ model, messages: chatStart(one), tools })
        .done()
    },
  },
  'runTools, streamed': {
    dialect: 'chat',
    only: (one) => one.tools,
    echo: async (one, base) => {
      const tools = Object.entries(schemas).map(([name, parameters]) => ({
        type: 'function',
        function: { name, parameters, function: () => one.toolResult },
      }))
      await clientOf(base)
        .chat.completions.runTools({ model, messages: chatStart(one), tools, stream: true })
        .done()
    },
  },
  'responses.create': responses((client, body) => client.responses.create(body)),
  'responses.create, output_text': responses(
    (client, body) => client.responses.create(body),
    (response) => [{ role: 'assistant', content: response.output_text }],
    spoken,
  ),
  'responses.create, streamed': responses(lastResponse),
  'responses.parse': responses((client, body) => client.responses.parse(body)),
  'responses.stream': responses((client, body) => client.responses.stream(body).finalResponse()),
})
