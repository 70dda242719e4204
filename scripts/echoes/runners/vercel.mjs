// Vercel's `ai` with `@ai-sdk/openai` (chat and responses) and `@ai-sdk/openai-compatible`: the messages that it hands back, and its own tool loop.

import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai'
import { run, schemas } from './common.mjs'

globalThis.AI_SDK_LOG_WARNINGS = false

const openai = (base) => createOpenAI({ apiKey: 'k', baseURL: `${base}/v1` })
const models = {
  'openai chat': { dialect: 'chat', of: (base) => openai(base).chat('tiny') },
  'openai responses': { dialect: 'responses', of: (base) => openai(base).responses('tiny') },
  // With `store: false` it sends items instead of references to them.
  'openai responses, not stored': {
    dialect: 'responses',
    of: (base) => openai(base).responses('tiny'),
    providerOptions: { openai: { store: false } },
  },
  compatible: {
    dialect: 'chat',
    of: (base) => createOpenAICompatible({ name: 'vllm', apiKey: 'k', baseURL: `${base}/v1` })('tiny'),
  },
}

const part = ({ text, image }) => (image === undefined ? { type: 'text', text } : { type: 'image', image })
const toolsOf = (one) =>
  Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      tool({ inputSchema: jsonSchema(schema), execute: () => one.toolResult }),
    ]),
  )

const echoing = ({ dialect, of, providerOptions }, get) => ({
  dialect,
  echo: async (one, base) => {
    const model = of(base)
    const content = one.user.length === 1 ? one.user[0].text : one.user.map(part)
    const messages = [{ role: 'user', content }]
    const tools = one.tools ? { tools: toolsOf(one), stopWhen: stepCountIs(2) } : {}
    const options = {
      model,
      system: one.system,
      maxRetries: 0,
      ...tools,
      ...(providerOptions ? { providerOptions } : {}),
    }
    const answered = await get({ ...options, messages })
    // With tools, its own loop has already sent the echo.
    if (one.tools) return
    messages.push(...answered, { role: 'user', content: one.nextQuestion })
    await generateText({ ...options, messages })
  },
})

const whole = async (options) => (await generateText(options)).response.messages
const streamed = async (options) => {
  const errors = []
  const result = streamText({ ...options, onError: ({ error }) => errors.push(error) })
  await result.consumeStream()
  if (errors.length > 0) throw errors[0]
  return (await result.response).messages
}

await run(
  Object.fromEntries(
    Object.entries(models).flatMap(([name, model]) => [
      [`${name}, generateText`, echoing(model, whole)],
      [`${name}, streamText`, echoing(model, streamed)],
    ]),
  ),
)
