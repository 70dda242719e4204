// Vercel's AI SDK, streaming: headers of each call name the session and the window.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, streamText } from 'ai'

const {
  CWM_URL = 'http://127.0.0.1:8787',
  MODEL = 'tiny',
  CWM_API_KEY: apiKey = 'whatever the engine wants',
} = process.env
const cwm = createOpenAICompatible({ name: 'cwm', baseURL: `${CWM_URL}/v1`, apiKey, includeUsage: true })
// A window name can be used only once, so each run creates its own.
const name = `vercel-ai-${Date.now()}`
const contract = 'Clause 7: either party may end this contract with thirty days of notice. '.repeat(60)

await generateText({
  model: cwm(MODEL),
  maxOutputTokens: 16,
  prompt: `${contract}\nSum this up.`,
  headers: { 'x-cwm-session': name, 'x-cwm-freeze': name },
})

const { textStream, usage, response } = streamText({
  model: cwm(MODEL),
  maxOutputTokens: 16,
  prompt: 'What does clause 7 say?',
  headers: { 'x-cwm-session': `${name}-2`, 'x-cwm-window': name },
})
for await (const text of textStream) process.stdout.write(text)
const restored = (await response).headers?.['x-cwm-restored']
console.log(`\n${restored} of ${(await usage).inputTokens} tokens did not have to be computed`)
