// Windows as files: exported from one cwm, and imported into another with a different secret and engine, with all content validated.

import { afterEach, beforeEach, expect, it } from 'vitest'
import type { WindowJson } from '../../src/wire/windows.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { call, frozenSession, rest, saltsSeen } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let here: Stack
let there: Stack

beforeEach(async () => {
  here = await startStack()
  there = await startStack({ settings: { secret: 'a secret of its own, long enough' } })
})
afterEach(async () => {
  await here.close()
  await there.close()
})

type File = Record<string, unknown> & { messages: { content: string }[]; shaping: Record<string, unknown> }

async function exported(): Promise<File> {
  await frozenSession(here.url)
  await rest(here.url, 'PATCH', '/windows/w', { tags: ['law'], note: 'clause by clause' })
  const got = await ask(here.url, '/cwm/v1/windows/w/export')
  expect(got.headers['content-disposition']).toBe('attachment; filename="w.cwm.json"')
  return jsonOf<File>(got)
}

const send = (file: object, query = '') => call(there.url, 'POST', `/windows/import${query}`, file)
const refused = async (file: object) => {
  const got = await send(file)
  return [got.status, errorOf(got).code, errorOf(got).param]
}

it('is imported into another cwm, rebuilt there, and gives the same answers', async () => {
  const file = await exported()

  const { window, drift } = await rest<{ window: WindowJson; drift: boolean }>(
    there.url,
    'POST',
    '/windows/import',
    file,
  )

  expect(drift).toBe(false)
  expect(window).toMatchObject({
    name: 'w',
    state: 'frozen',
    origin: 'import',
    tags: ['law'],
    note: 'clause by clause',
    receipt: { durability: 'l2', pinned: true, cached_tokens: 0, tokens: file.tokens },
  })
  const question = [user('What is the buoy called?')]
  const [mine, theirs] = [
    await chat(here.url, question, { headers: { 'x-cwm-window': 'w' } }),
    await chat(there.url, question, { headers: { 'x-cwm-window': 'w' } }),
  ]
  expect(theirs.reply).toEqual(mine.reply)
  expect(theirs.promptTokens).toBe(mine.promptTokens)
  const salts = saltsSeen(here.sim)
  expect([...saltsSeen(there.sim)].filter((salt) => salts.has(salt))).toEqual([])
})

it('contains no salt, lineage, or tenant', async () => {
  const text = JSON.stringify(await exported())

  for (const salt of saltsSeen(here.sim)) expect(text).not.toContain(salt)
  expect(text).not.toMatch(/lineage|tenant|cache_salt|anonymous/)
})

it('is imported under another name if given, and never over an existing window', async () => {
  const file = await exported()

  const [first, second] = [await send(file, '?name=other'), await send(file, '?name=other')]

  expect(jsonOf<{ window: WindowJson }>(first).window.name).toBe('other')
  expect([second.status, errorOf(second).code]).toEqual([409, 'window_name_taken'])
})

it('reports drift if the other engine’s template gives other ids', async () => {
  const file = await exported()
  // The ids in a file are those of its engine. Here the same text comes from an engine with another template.
  const elsewhere = jsonOf<File>(
    await (async () => {
      await rest(here.url, 'PUT', '/windows/v', {
        model: 'sim-model',
        messages: file.messages,
        chat_template_kwargs: { mood: 'formal' },
      })
      return ask(here.url, '/cwm/v1/windows/v/export')
    })(),
  )

  const { drift, window } = await importWithIdsOf(elsewhere)

  expect(window.state).toBe('frozen')
  expect(drift).toBe(true)
})

/** A valid file whose ids come from a template that this engine does not have. */
async function importWithIdsOf(elsewhere: File): Promise<{ window: WindowJson; drift: boolean }> {
  const { checksumOf } = await import('../../src/windows/checksum.ts')
  const bytes = new Uint8Array(Buffer.from(String(elsewhere.token_ids), 'base64'))
  const prompt = { dialect: 'chat' as const, model: 'sim-model', messages: elsewhere.messages, shaping: {} }
  const checksum = checksumOf({ prompt, tokenIds: new Uint32Array(bytes.buffer) })
  return await rest(there.url, 'POST', '/windows/import', { ...elsewhere, shaping: {}, checksum })
}

it('is rejected if a byte was changed', async () => {
  const file = await exported()
  const [first] = file.messages
  const changed = { ...file, messages: [{ ...first, content: `${first?.content}.` }, ...file.messages.slice(1)] }

  expect(await refused(changed)).toEqual([400, 'invalid_import', 'checksum'])
  expect(await refused({ ...file, token_ids: 'AAAA' })).toEqual([400, 'invalid_import', 'token_ids'])
  expect(await refused({ ...file, token_ids: 'AAAAAA==' })).toEqual([400, 'invalid_import', 'checksum'])
  expect(await refused({ ...file, model: 'other' })).toEqual([400, 'invalid_import', 'checksum'])
  expect(await refused({ ...file, version: 2 })).toEqual([400, 'invalid_import', 'version'])
  expect(await refused({ ...file, format: 'zip' })).toEqual([400, 'invalid_import', 'format'])
  expect(await refused({ ...file, tags: ['two words'] })).toEqual([400, 'invalid_import', 'tags'])
  expect(await refused({ ...file, reply_at: 99 })).toEqual([400, 'invalid_import', 'reply_at'])
})

it('cannot import content that is forbidden in chats', async () => {
  const { checksumOf } = await import('../../src/windows/checksum.ts')
  const messages = [{ role: 'user', content: prose(10) }]
  const withShaping = (shaping: Record<string, string>) => {
    const prompt = { dialect: 'chat' as const, model: 'sim-model', messages, shaping }
    const base = { format: 'cwm-window', version: 1, name: 'x', dialect: 'chat', model: 'sim-model', reply_at: 1 }
    const tokenIds = new Uint32Array()
    return { ...base, messages, shaping, token_ids: '', checksum: checksumOf({ prompt, tokenIds }) }
  }

  expect(await refused(withShaping({ kv_transfer_params: 'x' }))).toEqual([400, 'invalid_field', 'kv_transfer_params'])
  const salted = await send(withShaping({ cache_salt: 'stolen' }))
  expect(salted.status).toBe(201)
  expect((await ask(there.url, '/cwm/v1/windows/x/export')).text).not.toContain('stolen')
})
