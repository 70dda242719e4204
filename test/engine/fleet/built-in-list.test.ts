// Two real engines in cwm's own list, and two proxies on one Redis. It kills and starts servers, so its tests run in this order.
// Skipped with one engine only; to run it: PAIR=1 npm run engine:up, then npm run test:engine:fleet

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, measured } from '../support/conversations.ts'
import { CHUNK, eventually } from '../support/stack.ts'
import { type Chat, forAll, startChats } from './support/chats.ts'
import { type FleetStack, startBuiltInList } from './support/fleet-stack.ts'
import { awaitShared, countShared } from './support/l2.ts'
import { answers, engineB, killServer, running, served, startPair } from './support/pair.ts'

const SESSIONS = 40
/** Long enough that a kill finds it in the middle. */
const LONG_ANSWER = { max_tokens: 1_000, ignore_eos: true }

const hasPair = await answers(`${engineB.url}/health`)
if (!hasPair) console.log('test/engine/fleet: skipped; start two engines: PAIR=1 npm run engine:up')

describe.skipIf(!hasPair)('two engines in the list of two proxies', () => {
  let stack: FleetStack
  let chats: Chat[]
  let onA: Chat[]
  let onB: Chat[]
  let chunksBefore: number

  beforeAll(async () => {
    chunksBefore = await countShared()
    stack = await startBuiltInList()
    chats = startChats(SESSIONS, stack.proxies)
  })
  afterAll(() => stack.close())

  it('no follow-up is cold, whichever proxy gets it, and both engines are used', async () => {
    await forAll(chats, (chat) => chat.next())
    const second = await forAll(chats, (chat) => chat.next())
    const third: Answer[] = []
    const places: ('a' | 'b')[] = []
    // One after the other, so that the engines' own counters say which of them answered.
    for (const chat of chats) {
      const { answer, by } = await observed(chat)
      third.push(answer)
      places.push(by)
    }

    onA = chats.filter((_, i) => places[i] === 'a')
    onB = chats.filter((_, i) => places[i] === 'b')
    const cold = [...second, ...third].filter(({ cachedTokens }) => cachedTokens === 0).length
    measured('built-in list', {
      sessions: SESSIONS,
      followUps: second.length + third.length,
      cold,
      a: onA.length,
      b: onB.length,
      why: [...second, ...third]
        .filter(({ cachedTokens }) => cachedTokens === 0)
        .map(({ cwm, text }) => ({ cwm, text })),
    })
    expect(cold).toBe(0)
    expect(onA.length).toBeGreaterThan(0)
    expect(onB.length).toBeGreaterThan(0)
  })

  it('kill -9 of an engine fails the requests in flight there and no other', async () => {
    await awaitShared(chunksBefore + sum(chats.map(({ storedTokens }) => storedTokens)) / CHUNK)
    const long = [...onA.slice(0, 3), ...onB.slice(0, 3)].map((chat) => succeeds(chat.next(LONG_ANSWER)))
    // On two cores the other engine's three may wait for these, or be done before them: they only must not fail.
    await eventually('three turns are being generated on the engine to kill', running, ([a]) => a === 3, {
      deadlineMs: 60_000,
    })

    await killServer('vllm')
    const meanwhile = await Promise.allSettled(onA.slice(3, 6).map((chat) => chat.next()))

    const results = await Promise.all(long)
    const failed = [results.slice(0, 3), results.slice(3)].map((part) => part.filter((ok) => !ok).length)
    measured('kill -9 of an engine', {
      inFlight: 3,
      failed,
      meanwhile: meanwhile.map((one) => (one.status === 'rejected' ? String(one.reason) : one.status)),
    })
    expect(failed).toEqual([3, 0])
    expect(meanwhile.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  })

  it('the next turns of its sessions have the chunks cached that L2 held', async () => {
    const stored = onA.map(({ storedTokens }) => storedTokens)
    const moved = await forAll(onA, (chat) => chat.next())

    const cached = moved.map(({ cachedTokens }) => cachedTokens)
    measured('moved sessions', { sessions: onA.length, stored: sum(stored), cached: sum(cached) })
    expect(cached.filter((tokens, i) => tokens < (stored[i] ?? 0))).toEqual([])
  })

  it('they stay where they are when it returns, and new sessions use it', async () => {
    await startPair()
    const proxyCounts = await served()
    const stayed = await forAll(onA, (chat) => chat.next())
    const counts = await served()

    expect(stayed.filter(({ cachedTokens }) => cachedTokens === 0)).toEqual([])
    expect(counts[0]).toBe(proxyCounts[0])
    const reached = await eventually(
      'a new session on the returned engine',
      async () => {
        await forAll(startChats(4, stack.proxies), (chat) => chat.next())
        return (await served())[0]
      },
      (a) => a > counts[0],
      { deadlineMs: 60_000 },
    )
    measured('the engine returned', { stayed: stayed.length, newSessionsThere: reached - counts[0] })
  })

  it('chats go on when only an LMCache server is killed, and when it is back', async () => {
    const there = onB.slice(0, 4)
    const start = Date.now()
    await killServer('lmcache-b')

    const without = await forAll(there, (chat) => chat.next())
    const took = Date.now() - start
    await startPair()
    const after = await forAll(there, (chat) => chat.next())

    const cached = [without, after].map((turns) => turns.map(({ cachedTokens }) => cachedTokens))
    measured('an LMCache server killed', { cached, seconds: Math.round(took / 1000) })
    // The engine's own blocks are still there.
    expect(cached.flat().filter((tokens) => tokens === 0)).toEqual([])
  })
})

async function observed(chat: Chat): Promise<{ answer: Answer; by: 'a' | 'b' }> {
  const before = await served()
  const answer = await chat.next()
  const moved = await eventually(
    'an engine has counted the request',
    async () => (await served()).map((count, i) => count - (before[i] ?? 0)),
    (deltas) => deltas.some((delta) => delta > 0),
  )
  return { answer, by: (moved[0] ?? 0) > 0 ? 'a' : 'b' }
}

const succeeds = (turn: Promise<unknown>): Promise<boolean> =>
  turn.then(
    () => true,
    () => false,
  )

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)
