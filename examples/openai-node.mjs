// A chat through the openai SDK: freezes one context under a name. Another session continues from it and sends only its question.

import OpenAI from 'openai'

const {
  CWM_URL = 'http://127.0.0.1:8787',
  MODEL: model = 'tiny',
  CWM_API_KEY: apiKey = 'whatever the engine wants',
} = process.env
const client = new OpenAI({ baseURL: `${CWM_URL}/v1`, apiKey })
// A window name can be used only once, so each run creates its own.
const name = `openai-node-${Date.now()}`
const contract = 'Clause 7: either party may end this contract with thirty days of notice. '.repeat(60)

// Today: the model reads the contract. cwm freezes the context after the answer.
await client.chat.completions.create(
  { model, max_tokens: 16, messages: [{ role: 'user', content: `${contract}\nSum this up.` }] },
  { headers: { 'x-cwm-session': name, 'x-cwm-freeze': name } },
)

// Tomorrow: a new session starts from the window. The first request waits until the freeze is done.
const { data, response } = await client.chat.completions
  .create(
    { model, max_tokens: 16, messages: [{ role: 'user', content: 'What does clause 7 say?' }] },
    { headers: { 'x-cwm-session': `${name}-2`, 'x-cwm-window': name } },
  )
  .withResponse()

console.log(data.choices[0].message.content)
console.log(
  `${response.headers.get('x-cwm-restored')} of ${data.usage.prompt_tokens} tokens did not have to be computed`,
)
