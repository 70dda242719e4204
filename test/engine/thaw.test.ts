// Freeze and thaw on the real engine. The receipt's restored tokens are the warm call's own cached_tokens.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Answer,
  ask,
  longText,
  type Message,
  MODEL,
  measured,
  openai,
  system,
  user,
} from './support/conversations.ts'
import {
  type Cwm,
  type FreezeReceipt,
  type ShownSession,
  type ShownWindow,
  startCwm,
  type ThawReceipt,
} from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { bound, countIn, emptyTiers, engineUrl, eventually, forget, REFUSING, type Stored } from './support/stack.ts'

const OPENING = [system(longText('You keep the harbour book', 1_500)), user('who wrote the name?')]
const NEXT = user('and which file was it?')

let hop: Hop
let cwm: Cwm
let client: OpenAI
/** The conversation up to its first reply, and its continuation without any freeze or restart. */
let history: Message[]
let reference: Answer
/** The same, frozen as `book`. */
let receipt: FreezeReceipt
let stored: Stored

beforeAll(async () => {
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url })
  client = openai(cwm.url)
  const plain = await ask(client, OPENING, session('plain'))
  history = [...OPENING, plain.reply]
  reference = await ask(client, [...history, NEXT], session('plain'))

  await ask(client, OPENING, session('frozen', { 'x-cwm-freeze': 'book' }))
  receipt = await cwm.frozen('book')
  stored = hop.lastWarm()
})

afterAll(async () => {
  await cwm.dispose()
  await hop.close()
})

const session = (id: string, headers: Record<string, string> = {}) => ({ headers: { 'x-cwm-session': id, ...headers } })
const thawing = (id: string, window = 'book') => session(id, { 'x-cwm-window': window })
const wholeChunks = () => Math.floor(receipt.tokens / 256)

async function refusal(turn: Promise<unknown>): Promise<{ status: number; code: string; message: string }> {
  const thrown = await turn.then(
    () => Promise.reject(new Error('the turn was answered instead of rejected')),
    (error: unknown) => error,
  )
  return thrown as { status: number; code: string; message: string }
}

describe('a freeze by header', () => {
  it('reaches tiers behind memory, is pinned, and has every whole chunk restorable', () => {
    measured('freeze', { tokens: receipt.tokens, chunks: receipt.chunks, ms: receipt.ms })

    expect(receipt).toMatchObject({ durability: 'l2', pinned: true, chunks: wholeChunks(), warnings: [] })
    expect(receipt.tokens).toBeGreaterThan(1_500)
    expect(receipt.restorable_tokens).toBe(256 * wholeChunks())
    expect(receipt.tiers).toMatchObject({ l2: wholeChunks() })
  })

  it('is reported as pending on the answer', async () => {
    const answer = await ask(client, [user('short')], session('pending', { 'x-cwm-freeze': 'short' }))

    expect(answer.cwm.freeze).toBe('pending')
    // Below one chunk LMCache stores nothing: the window has only its text, and reports that.
    expect(await cwm.frozen('short')).toMatchObject({ durability: 'text', chunks: 0, pinned: false })
  })

  it('of a streamed turn runs after the stream, and restores the same', async () => {
    const stream = await client.chat.completions.create(
      { model: MODEL, messages: OPENING, max_tokens: 16, temperature: 0, frequency_penalty: 2, stream: true },
      session('streamed', { 'x-cwm-freeze': 'streamed' }),
    )
    for await (const _ of stream);
    const streamed = await cwm.frozen('streamed')
    await forget()

    const answer = await ask(client, [NEXT], thawing('streamed-thawed', 'streamed'))

    expect(streamed).toMatchObject({ durability: 'l2', tokens: receipt.tokens })
    expect(Number(answer.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(answer.ids).toEqual(reference.ids)
  })

  it('of a turn whose client disconnected does not run, and the name stays free', async () => {
    const stream = await client.chat.completions.create(
      { model: MODEL, messages: OPENING, max_tokens: 2_000, ...{ ignore_eos: true }, stream: true },
      session('left', { 'x-cwm-freeze': 'left' }),
    )
    for await (const _ of stream) break
    const gone = await eventually(
      'the name is free',
      () => cwm.rest('GET', '/windows/left'),
      ({ status }) => status === 404,
    )

    await ask(client, OPENING, session('left', { 'x-cwm-freeze': 'left' }))

    expect(gone.status).toBe(404)
    expect((await cwm.settled('left')).state).toBe('frozen')
  })

  it('uses a name once', async () => {
    const taken = await refusal(ask(client, OPENING, session('again', { 'x-cwm-freeze': 'book' })))

    expect(taken).toMatchObject({ status: 409, code: 'window_name_taken' })
  })
})

describe('a thaw by header, after engine and L1 were cleared, with only the new turn sent', () => {
  it('restores whole chunks, and the answer continues unchanged', async () => {
    await forget()
    expect(
      await eventually(
        'L1 is empty',
        () => countIn('l1', stored),
        (count) => count === 0,
      ),
    ).toBe(0)

    const answer = await ask(client, [NEXT], thawing('thawed'))

    const thaw = await cwm.thawOf('thawed')
    measured('thaw from L2', { frozen: receipt.tokens, bound: bound(receipt.tokens), ...figures(thaw) })
    expect(thaw.restored_tokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(thaw.tiers_before).toEqual({ total: wholeChunks(), l1: 0, l2: wholeChunks(), backends: expect.anything() })
    expect(thaw).toMatchObject({ tokens: receipt.tokens, drift: false, warnings: [] })
    expect(answer.cwm).toMatchObject({ window: 'book', restored: String(thaw.restored_tokens), session: 'thawed' })
    expect(answer.promptTokens).toBe(reference.promptTokens)
    expect(answer.ids).toEqual(reference.ids)
    expect(answer.ids).toHaveLength(16)
    expect(new Set(answer.ids).size).toBeGreaterThan(4)
  })

  // Without this, the sixteen tokens above might not depend on what the engine read.
  it('would have a different answer in another context', async () => {
    const other = await ask(
      client,
      [system(longText('You keep the mill', 1_500)), user('who?'), NEXT],
      session('other'),
    )

    expect(other.ids).not.toEqual(reference.ids)
  })

  it('continues for several turns without the header', async () => {
    await forget()
    const first = await ask(client, [NEXT], thawing('several'))

    const second = await ask(client, [NEXT, first.reply, user('then?')], session('several'))
    const third = await ask(client, [NEXT, first.reply, user('then?'), second.reply, user('last?')], session('several'))

    expect([second.cwm.window, third.cwm.window]).toEqual(['book', 'book'])
    expect(second.cwm.restored).toBeUndefined()
    expect(second.promptTokens).toBeGreaterThan(first.promptTokens)
    expect(third.promptTokens).toBeGreaterThan(second.promptTokens)
    expect(second.cachedTokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(third.cachedTokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(await cwm.session('several')).toMatchObject({ base_window: 'book', turns: 3 })
  })

  it('continues by prefix alone', async () => {
    await forget()
    // A question of its own: a prefix alone cannot distinguish two sessions with the same text and reply.
    const question = user('and by prefix?')
    const first = await ask(client, [question], { headers: { 'x-cwm-window': 'book' } })

    const second = await ask(client, [question, first.reply, user('then?')])

    expect(Number(first.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(second.cwm).toMatchObject({ session: first.cwm.session, window: 'book' })
    expect(second.cachedTokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
  })

  it('serves two sessions at once, each with its own turns', async () => {
    await forget()

    const [ann, bob] = await Promise.all([
      ask(client, [NEXT], thawing('ann')),
      ask(client, [user('?')], thawing('bob')),
    ])
    const again = await ask(client, [NEXT, ann.reply, user('then?')], session('ann'))

    expect(ann.ids).toEqual(reference.ids)
    expect(bob.promptTokens).toBeLessThan(ann.promptTokens)
    expect(again.cachedTokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
  })
})

describe('a client that knows the frozen history', () => {
  it('that resends it gets it unchanged', async () => {
    await forget()

    const answer = await ask(client, [...history, NEXT], thawing('resends'))

    expect(answer.promptTokens).toBe(reference.promptTokens)
    expect(answer.ids).toEqual(reference.ids)
    expect(Number(answer.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
    const next = [...history, NEXT, answer.reply, user('then?')]
    expect((await ask(client, next, session('resends'))).cachedTokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
  })

  it('that sends an equal system prompt before its new turn does not get it twice', async () => {
    const answer = await ask(client, [OPENING[0] as Message, NEXT], thawing('system-again'))

    expect(answer.promptTokens).toBe(reference.promptTokens)
    expect(answer.ids).toEqual(reference.ids)
  })

  it.each([
    ['another reply', (): Message[] => [...OPENING, { role: 'assistant', content: 'nobody' }, NEXT]],
    ['another first question', (): Message[] => [OPENING[0] as Message, user('who?'), ...history.slice(2), NEXT]],
    ['another system prompt', (): Message[] => [system('You are somebody else'), NEXT]],
  ])('that diverges by %s is rejected, and nothing is thawed', async (what, messages) => {
    const id = `diverges-${what.replaceAll(' ', '-')}`

    const refused = await refusal(ask(client, messages(), thawing(id)))

    expect(refused).toMatchObject({ status: 409, code: 'window_diverges' })
    expect((await cwm.session(id)).base_window).toBeUndefined()
  })
})

describe('a thaw', () => {
  it('by path needs no header at all', async () => {
    await forget()
    const byPath = openai(cwm.url, { path: '/cwm/w/book/v1' })

    const question = user('and by path?')
    const first = await ask(byPath, [question])
    const second = await ask(byPath, [question, first.reply, user('then?')])

    expect(Number(first.cwm.restored)).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(second.cwm).toMatchObject({ session: first.cwm.session, window: 'book' })
    expect(second.cwm.restored).toBeUndefined()
    expect(second.cachedTokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
  })

  // Both at temperature 0: the same question gets the same reply, so the prefix of their own messages is ambiguous. The path still names
  // the window, and the history was delivered after it: the next turn is cold at worst, not rejected.
  it('by path continues for two clients with the same question', async () => {
    const byPath = openai(cwm.url, { path: '/cwm/w/book/v1' })
    const question = user('what everybody asks?')
    const first = await ask(byPath, [question])
    await ask(byPath, [question])

    const second = await ask(byPath, [question, first.reply, user('then?')])

    expect(second.promptTokens).toBeGreaterThan(receipt.tokens)
  })

  it('by REST returns the receipt, and the session continues', async () => {
    await forget()

    const { status, body } = await cwm.rest<ThawReceipt>('POST', '/windows/book/thaw', { session_id: 'by-rest' })
    const answer = await ask(client, [NEXT], session('by-rest'))

    expect(status).toBe(200)
    expect(body.restored_tokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
    expect(answer.cwm).toMatchObject({ window: 'book' })
    expect(answer.ids).toEqual(reference.ids)
    expect(answer.cachedTokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
  })

  it('to L1 loads the chunks into memory and does not use the engine', async () => {
    await forget()
    await eventually(
      'L1 is empty',
      () => countIn('l1', stored),
      (count) => count === 0,
    )
    const calls = hop.exchanges.length

    const { status, body } = await cwm.rest<{ ms: number }>('POST', '/windows/book/thaw', { to: 'l1' })

    measured('thaw to L1', { chunks: wholeChunks(), ms: body.ms })
    expect(status).toBe(200)
    expect(body).toMatchObject({ found_chunks: wholeChunks(), total_chunks: wholeChunks() })
    expect(hop.exchanges.slice(calls).filter(({ method }) => method === 'POST')).toEqual([])
    await eventually(
      'L1 has the chunks',
      () => countIn('l1', stored),
      (count) => count === wholeChunks(),
    )
  })

  it('that the engine can serve from its own cache does not wait for LMCache', async () => {
    await ask(client, [NEXT], thawing('warm-1'))

    await ask(client, [NEXT], thawing('warm-2'))

    const thaw = await cwm.thawOf('warm-2')
    measured('thaw of what is warm', figures(thaw))
    expect(thaw.restored_tokens).toBeGreaterThanOrEqual(bound(receipt.tokens))
  })

  it('of a session that was thawed, grew and was frozen by REST has its parent, and restores everything', async () => {
    const grown = await ask(client, [NEXT], thawing('grows'))

    const { status, body } = await cwm.rest<ShownWindow & { parent: string }>('POST', '/windows', {
      name: 'book-2',
      session_id: 'grows',
    })
    await forget()
    const answer = await ask(client, [user('last?')], thawing('grown', 'book-2'))

    expect(status).toBe(201)
    expect(body).toMatchObject({ state: 'frozen', parent: 'book' })
    const tokens = body.receipt?.tokens ?? 0
    expect(tokens).toBeGreaterThan(grown.promptTokens)
    expect(Number(answer.cwm.restored)).toBeGreaterThanOrEqual(bound(tokens))
  })

  it("of another key's window is a 404, by header, path and REST", async () => {
    const stranger = openai(cwm.url, { key: 'key-stranger' })
    const byPath = openai(cwm.url, { key: 'key-stranger', path: '/cwm/w/book/v1' })

    const refused = [await refusal(ask(stranger, [NEXT], thawing('x'))), await refusal(ask(byPath, [NEXT]))]
    const rest = await cwm.rest('POST', '/windows/book/thaw', { session_id: 'x' }, 'key-stranger')

    expect(refused.map(({ status, code }) => [status, code])).toEqual(Array(2).fill([404, 'window_not_found']))
    expect(rest.status).toBe(404)
  })
})

describe('a window whose every tier was emptied', () => {
  it('restores nothing, reports that, and is recomputed', async () => {
    await ask(client, OPENING, session('lost', { 'x-cwm-freeze': 'lost' }))
    const frozen = await cwm.frozen('lost')
    const chunks = hop.lastWarm()
    await emptyTiers(chunks)
    await eventually(
      'the directory is empty',
      () => countIn('l2', chunks),
      (count) => count === 0,
    )

    const answer = await ask(client, [NEXT], thawing('recomputed', 'lost'))

    const thaw = await cwm.thawOf('recomputed')
    measured('thaw with every tier emptied', figures(thaw))
    expect(thaw).toMatchObject({ restored_tokens: 0, recomputed_tokens: frozen.tokens })
    expect(thaw.tiers_before).toMatchObject({ l1: 0, l2: 0 })
    expect(answer.cwm.restored).toBe('0')
    expect(answer.ids).toEqual(reference.ids)
  })
})

describe('with LMCache out of reach', () => {
  const nobody = { coordinator: REFUSING, lmcache: REFUSING }

  it('a thaw works, warns, and recomputes what the engine lacks', async () => {
    await ask(client, OPENING, session('cut-off', { 'x-cwm-freeze': 'cut-off' }))
    const frozen = await cwm.frozen('cut-off')
    await emptyTiers(hop.lastWarm())
    await cwm.stop()
    cwm = await startCwm({ ...nobody, upstream: hop.url, dataDir: cwm.dataDir })

    const answer = await ask(openai(cwm.url), [NEXT], thawing('alone', 'cut-off'))

    const thaw = await cwm.thawOf('alone')
    const { base_window } = (await cwm.rest<ShownSession>('GET', '/sessions/alone')).body
    await cwm.stop()
    cwm = await startCwm({ upstream: hop.url, dataDir: cwm.dataDir })
    client = openai(cwm.url)
    expect(answer.ids).toEqual(reference.ids)
    expect(base_window).toBe('cut-off')
    expect(thaw).toMatchObject({ restored_tokens: 0, recomputed_tokens: frozen.tokens })
    expect(thaw.tiers_before).toMatchObject({ l1: null, l2: null })
    expect(thaw.warnings.join()).toMatch(/LMCache/)
  })

  it('a freeze verifies no KV, and reports what is missing', async () => {
    const alone = await startCwm(nobody)

    await ask(openai(alone.url), OPENING, session('text', { 'x-cwm-freeze': 'text' }))
    const frozen = await alone.frozen('text')

    await alone.dispose()
    expect(frozen).toMatchObject({ durability: 'unverified', pinned: false, restorable_tokens: 0 })
    expect(frozen.tokens).toBe(receipt.tokens)
    expect(frozen.warnings.join()).toMatch(/LMCache/)
  })

  it('without its coordinator only, a freeze loses the pins, not the window', async () => {
    const unpinned = await startCwm({ coordinator: REFUSING })

    await ask(openai(unpinned.url), OPENING, session('unpinned', { 'x-cwm-freeze': 'unpinned' }))
    const frozen = await unpinned.frozen('unpinned')

    await unpinned.dispose()
    expect(frozen).toMatchObject({ durability: 'l1', pinned: false, restorable_tokens: 256 * wholeChunks() })
    expect(frozen.warnings.join()).toMatch(/coordinator/)
  })
})

function figures({ restored_tokens, recomputed_tokens, ms }: ThawReceipt) {
  return { restored_tokens, recomputed_tokens, ms }
}
