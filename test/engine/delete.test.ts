// Deletes on the real engine: what LMCache's files, Redis' keys and the directory have under a salt before and after. The salt is read from
// there and from the engine's requests, because cwm never reveals it.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, longText, measured, openai, user } from './support/conversations.ts'
import { type Cwm, startCwm } from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { engineUrl, eventually, forget, onePinEach, pinCounts } from './support/stack.ts'
import { chunksOf, readTiers, saltsOf } from './support/tiers.ts'

interface Deletion {
  readonly id: string
  readonly state: 'open' | 'done'
  readonly deleted_chunks: number
  readonly residual_chunks: number | null
  readonly kept_chunks: number
  readonly kept_for: readonly string[]
  readonly held_by: { readonly count: number; readonly sessions: readonly string[] } | null
  readonly unpinned: boolean | null
  readonly lineage_retired: boolean
  readonly ms: Readonly<Record<string, number>>
  readonly warnings: readonly string[]
}

let hop: Hop
let cwm: Cwm
let client: OpenAI

beforeAll(async () => {
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url })
  client = openai(cwm.url)
})

afterAll(async () => {
  await cwm.dispose()
  await hop.close()
})

const remove = async (path: string): Promise<Deletion> => {
  const { status, body } = await cwm.rest<Deletion>('DELETE', path)
  if (status !== 200) throw new Error(`DELETE ${path}: ${status} ${JSON.stringify(body)}`)
  return body
}
const doneOf = ({ id }: Deletion) =>
  eventually(
    `delete ${id} is done`,
    async () => (await cwm.rest<Deletion>('GET', `/deletions/${id}`)).body,
    ({ state }) => state === 'done',
    { deadlineMs: 60_000 },
  )

/** A session `mark` with one turn of this many tokens and a window of the same name. Returns its salt once all tiers have its chunks. */
async function freeze(mark: string, tokens: number): Promise<{ salt: string; chunks: number }> {
  await ask(client, [user(longText(mark, tokens))], { headers: { 'x-cwm-session': mark, 'x-cwm-freeze': mark } })
  const { chunks } = await cwm.frozen(mark)
  const salt = hop.saltsOf(`${mark}: `).at(-1)
  if (salt === undefined) throw new Error(`no call of ${mark} had a salt`)
  await eventually(
    'files, Redis and directory have its chunks',
    async () => chunksOf(await readTiers(), salt),
    (counts) => counts.every((count) => count >= chunks),
  )
  return { salt, chunks }
}

describe('ending a session and deleting its window', () => {
  it('leaves no placement, no file and no key in Redis; the name is free, and the salt is never used again', async () => {
    const { salt, chunks } = await freeze('contract', 1_300)

    const end = await remove('/sessions/contract')
    const kept = chunksOf(await readTiers(), salt)
    const last = await remove('/windows/contract')

    measured('delete of a window', { chunks, deleted: last.deleted_chunks, ms: last.ms })
    expect(end).toMatchObject({ state: 'done', kept_for: ['window'], residual_chunks: 0, lineage_retired: false })
    expect(kept).toEqual([chunks, chunks, chunks])
    expect(last).toMatchObject({
      state: 'done',
      deleted_chunks: chunks,
      residual_chunks: 0,
      unpinned: true,
      lineage_retired: true,
      warnings: [],
    })
    expect(chunksOf(await readTiers(), salt)).toEqual([0, 0, 0])
    expect(await pinCounts(salt)).toEqual([])

    const dispatched = hop.exchanges.length
    const again = await freeze('contract', 1_300)
    const later = hop.exchanges.slice(dispatched).map(({ requestBody }) => requestBody.toString())
    expect(again.salt).not.toBe(salt)
    expect(later.join()).not.toContain(salt)
    expect(saltsOf(await readTiers())).not.toContain(salt)
  })

  it('in the other order keeps the chunks for the live session, whose next turn finds them', async () => {
    const words = user(longText('kept', 1_300))
    const { salt, chunks } = await freeze('kept', 1_300)

    const first = await remove('/windows/kept')
    expect(first).toMatchObject({
      state: 'done',
      deleted_chunks: 0,
      kept_chunks: chunks,
      kept_for: ['session'],
      unpinned: true,
    })
    expect(await pinCounts(salt)).toEqual([])
    await forget()
    const turn = await ask(client, [words], { headers: { 'x-cwm-session': 'kept' } })
    expect(turn.cachedTokens).toBeGreaterThanOrEqual((chunks - 1) * 256)

    const end = await remove('/sessions/kept')
    expect(end).toMatchObject({ state: 'done', residual_chunks: 0, kept_for: [], lineage_retired: true })
    expect(chunksOf(await readTiers(), salt)).toEqual([0, 0, 0])
  })

  it('deletes the chunks of edited and regenerated turns as well', async () => {
    const { salt, chunks } = await freeze('edited', 600)
    const headers = { 'x-cwm-session': 'edited' }
    await ask(client, [user(longText('edited: another way', 900))], { headers })
    await ask(client, [user(longText('edited: a third', 700))], { headers })
    const stored = await eventually(
      'the other turns are stored',
      async () => chunksOf(await readTiers(), salt),
      (counts) => counts.every((count) => count >= chunks + 5),
    )

    const end = await remove('/sessions/edited')
    const last = await remove('/windows/edited')

    expect(end.deleted_chunks).toBe(Math.max(...stored) - chunks)
    expect([end.residual_chunks, last.residual_chunks]).toEqual([0, 0])
    expect(chunksOf(await readTiers(), salt)).toEqual([0, 0, 0])
  })

  it('keeps other sessions and their windows', async () => {
    const mine = await freeze('mine', 600)
    const theirs = await freeze('theirs', 600)

    await remove('/sessions/mine')
    await remove('/windows/mine')

    expect(chunksOf(await readTiers(), mine.salt)).toEqual([0, 0, 0])
    expect(Math.min(...chunksOf(await readTiers(), theirs.salt))).toBeGreaterThanOrEqual(theirs.chunks)
    expect(await pinCounts(theirs.salt)).toEqual(onePinEach(theirs.chunks * 256))
  })
})

describe('deleting a window that a chat is based on', () => {
  it('changes no token of the chat, and leaves no chunk once that has ended', async () => {
    const { salt, chunks } = await freeze('standing', 1_300)
    const chat = { headers: { 'x-cwm-session': 'on-standing' } }
    const question = [user('Which name was written?')]
    const thaw = await cwm.rest('POST', '/windows/standing/thaw', { session_id: 'on-standing' })
    await remove('/sessions/standing')
    const before = await ask(client, question, chat)

    const deletion = await remove('/windows/standing')
    await forget()
    const after = await ask(client, question, chat)

    expect(thaw.status).toBe(200)
    expect(deletion).toMatchObject({
      state: 'open',
      held_by: { count: 1, sessions: ['on-standing'] },
      deleted_chunks: 0,
      kept_chunks: chunks,
      kept_for: ['session'],
      unpinned: true,
    })
    expect(await pinCounts(salt)).toEqual([])
    expect(after.ids).toEqual(before.ids)
    expect(after.promptTokens).toBe(before.promptTokens)
    expect(after.cachedTokens).toBeGreaterThanOrEqual((chunks - 1) * 256)

    const end = await remove('/sessions/on-standing')
    expect(await doneOf(end)).toMatchObject({ residual_chunks: 0, lineage_retired: true })
    expect(await doneOf(deletion)).toMatchObject({ residual_chunks: 0, held_by: null, lineage_retired: true })
    expect(chunksOf(await readTiers(), salt)).toEqual([0, 0, 0])
  })
})

describe('ending a session during an answer', () => {
  it('aborts its turn, is checked again, and leaves nothing', async () => {
    const { salt } = await freeze('hasty', 600)
    await remove('/windows/hasty')
    const held = hop.hold('/v1/chat/completions', 'before')
    const turn = ask(client, [user(longText('hasty: and more', 1_300))], {
      headers: { 'x-cwm-session': 'hasty' },
    }).catch((error: { status?: number; code?: string }) => [error.status, error.code])
    await held.caught

    const end = await remove('/sessions/hasty')
    held.release()

    expect(await turn).toEqual([410, 'session_ended'])
    expect(end).toMatchObject({ state: 'open', residual_chunks: 0, lineage_retired: true })
    expect(await doneOf(end)).toMatchObject({ residual_chunks: 0 })
    expect(chunksOf(await readTiers(), salt)).toEqual([0, 0, 0])
  })
})
