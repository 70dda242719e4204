// Attacks that only the real engine can answer: how it reads what cwm forwards, and what its errors reveal.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, longText, openai, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { engineUrl, pinCounts } from './support/stack.ts'

let hop: Hop
let cwm: Cwm
beforeAll(async () => {
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url })
})
afterAll(async () => {
  await cwm.dispose()
  await hop.close()
})

const paths = ['chat/completions', 'completions', 'responses', 'messages'] as const

async function post(path: string, body: string, key = 'key-thief'): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${cwm.url}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body,
  })
  return { status: answer.status, text: await answer.text() }
}

describe("another tenant's salt", () => {
  it('by which LMCache has pins finds none of its KV', async () => {
    const words = [user(longText('security: pinned', 700))]
    const victim = openai(cwm.url, { key: 'key-victim' })
    await ask(victim, words, { headers: { 'x-cwm-freeze': 'pinned' } })
    await cwm.rest('GET', '/windows/pinned?wait_ms=20000', undefined, 'key-victim')
    const { salt } = hop.lastWarm()
    const pins = await pinCounts(salt)

    const thief = await ask(openai(cwm.url, { key: 'key-thief' }), words, { body: { cache_salt: salt } })
    const again = await ask(victim, words, { headers: { 'x-cwm-window': 'pinned' } })

    expect(pins.length).toBeGreaterThan(1)
    expect(thief.cachedTokens).toBe(0)
    expect(again.cachedTokens).toBeGreaterThan(500)
  })
})

describe('a file that another tenant exported', () => {
  it('is imported by recomputing it', async () => {
    const words = [user(longText('security: exported', 700))]
    await ask(openai(cwm.url, { key: 'key-victim' }), words, { headers: { 'x-cwm-freeze': 'file' } })
    await cwm.rest('GET', '/windows/file?wait_ms=20000', undefined, 'key-victim')
    const { body: file } = await cwm.rest('GET', '/windows/file/export', undefined, 'key-victim')

    const { status, body } = await cwm.rest('POST', '/windows/import?name=file', file, 'key-thief')

    expect(status).toBe(201)
    expect(body).toMatchObject({ drift: false, window: { state: 'frozen', receipt: { cached_tokens: 0 } } })
  })
})

describe('a repeated key', () => {
  const messages = '"messages":[{"role":"user","content":"hi"}],"max_tokens":2'

  // cwm checks the last of two and derives from it, so the engine must use the last one too.
  it('is read by the engine as by cwm: the last one counts', async () => {
    const last = await post('chat/completions', `{"model":"none","model":"tiny",${messages}}`)
    const first = await post('chat/completions', `{"model":"tiny","model":"none",${messages}}`)
    const escaped = await post('chat/completions', `{"model":"none","m\\u006fdel":"tiny",${messages}}`)

    expect([last.status, first.status, escaped.status]).toEqual([200, 404, 200])
  })
})

describe("the engine's error messages", () => {
  it.each(paths)('about %s never quote the salt', async (path) => {
    const mark = `quoted ${path}`
    const bodies = [
      { model: 'tiny' },
      { model: 'tiny', messages: 5, prompt: {}, input: 5, note: mark },
      { model: 'tiny', messages: [{ role: mark }], prompt: [[mark]], input: [{ type: mark }], max_tokens: -1 },
      { model: 'tiny', messages: [user(mark)], prompt: mark, input: mark, max_tokens: 'many', temperature: 'hot' },
      { model: 'none', messages: [user(mark)], prompt: mark, input: mark, max_tokens: 2 },
    ]

    const answers = await Promise.all(bodies.map((body) => post(path, JSON.stringify(body))))

    const salts = hop.saltsOf('"cache_salt"')
    expect(answers.every(({ status }) => status >= 400 && status < 500)).toBe(true)
    expect(salts.length).toBeGreaterThan(3)
    expect(answers.filter(({ text }) => salts.some((salt) => text.includes(salt)))).toEqual([])
  })
})
