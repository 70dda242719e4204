// Many windows answer one question, through the openai SDK. The base URL with their tag serves a model that has read all of them.

import OpenAI from 'openai'

const {
  CWM_URL: cwm = 'http://127.0.0.1:8787',
  MODEL: model = 'tiny',
  CWM_API_KEY: apiKey = 'whatever the engine wants',
} = process.env
const ferries: Readonly<Record<string, string>> = { oslo: 'seven', bergen: 'nine', tromso: 'eleven' }

// Once: each text becomes a window with the same tag. An existing window with the same text is kept.
for (const [town, hour] of Object.entries(ferries)) {
  const document = `The ferry from ${town} leaves at ${hour} in the morning, and the crossing is calm. `.repeat(110)
  const made = await fetch(`${cwm}/cwm/v1/windows/ferry-${town}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, document, tags: ['ferries'] }),
  })
  if (!made.ok) throw new Error(await made.text())
}

// Afterwards: each question goes to all of them, and the reply combines their answers.
const client = new OpenAI({ baseURL: `${cwm}/cwm/a/ferries/v1`, apiKey })
const stream = await client.chat.completions.create({
  model: 'ask:ferries',
  max_tokens: 32,
  messages: [{ role: 'user', content: 'Which ferry leaves first?' }],
  stream: true,
  stream_options: { include_usage: true },
})
let usage: OpenAI.CompletionUsage | null | undefined
for await (const chunk of stream) {
  usage = chunk.usage ?? usage
  const delta: { readonly content?: string | null; readonly reasoning?: string } = chunk.choices[0]?.delta ?? {}
  // One line for each window as soon as it has answered.
  process.stdout.write(delta.reasoning ?? delta.content ?? '')
}
const cached = usage?.prompt_tokens_details?.cached_tokens
console.log(`\n${cached} of ${usage?.prompt_tokens} tokens did not have to be computed`)
