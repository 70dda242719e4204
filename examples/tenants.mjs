// Two customers with one key each: the same prompt is computed for each of them, and neither sees the other's names.
// cwm needs a list of tenants (docs/tenants.md); `cwm key` creates the keys.

import OpenAI from 'openai'

const { CWM_URL = 'http://127.0.0.1:8787', MODEL: model = 'tiny', KEY_A, KEY_B } = process.env
if (KEY_A === undefined || KEY_B === undefined) throw new Error('set KEY_A and KEY_B to keys of two tenants')
const prompt = 'You are the assistant of a shipping company and answer in one sentence. '.repeat(60)

for (const [customer, apiKey] of Object.entries({ a: KEY_A, b: KEY_B })) {
  const client = new OpenAI({ baseURL: `${CWM_URL}/v1`, apiKey })
  for (const turn of [1, 2]) {
    const { usage } = await client.chat.completions.create(
      { model, max_tokens: 16, messages: [{ role: 'user', content: prompt }] },
      { headers: { 'x-cwm-session': 'greeting' } },
    )
    const cached = usage.prompt_tokens_details?.cached_tokens ?? 0
    console.log(`customer ${customer}, turn ${turn}: ${cached} of ${usage.prompt_tokens} tokens cached`)
  }
  const sessions = await fetch(`${CWM_URL}/cwm/v1/sessions`, { headers: { authorization: `Bearer ${apiKey}` } })
  console.log(`customer ${customer} sees ${(await sessions.json()).data.length} session`)
}
