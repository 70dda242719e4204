// LangChain: the base URL names the session, for clients that cannot set headers. REST then freezes it.

import { HumanMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'

const {
  CWM_URL = 'http://127.0.0.1:8787',
  MODEL: model = 'tiny',
  CWM_API_KEY: apiKey = 'whatever the engine wants',
} = process.env
const chatAt = (baseURL) => new ChatOpenAI({ model, apiKey, maxTokens: 16, configuration: { baseURL } })
// A window name can be used only once, so each run creates its own.
const name = `langchain-${Date.now()}`
const contract = 'Clause 7: either party may end this contract with thirty days of notice. '.repeat(60)

await chatAt(`${CWM_URL}/cwm/s/${name}/v1`).invoke([new HumanMessage(`${contract}\nSum this up.`)])

const frozen = await fetch(`${CWM_URL}/cwm/v1/windows`, {
  method: 'POST',
  headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
  body: JSON.stringify({ name, session_id: name, tags: ['contract'] }),
})
const { state, receipt } = await frozen.json()
console.log(`${state}: ${receipt.restorable_tokens} of ${receipt.tokens} tokens can be restored`)

// A base URL with a window starts a session from that window.
const answer = await chatAt(`${CWM_URL}/cwm/w/${name}/v1`).invoke([new HumanMessage('What does clause 7 say?')])
const { input_tokens: prompt, input_token_details: details } = answer.usage_metadata
console.log(answer.text)
console.log(`${details?.cache_read ?? 0} of ${prompt} tokens did not have to be computed`)
