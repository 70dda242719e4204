// vLLM's router (vllm-router 0.1.17, --policy consistent_hash, else its defaults) before two real engines, and two proxies before the router.
// Skipped without it; to run it: PAIR=1 ROUTER=1 npm run engine:up, then npm run test:engine:fleet

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { measured } from '../support/conversations.ts'
import { CHUNK, eventually } from '../support/stack.ts'
import {
  type Ask,
  askMessages,
  askResponses,
  type Chat,
  followUp,
  forAll,
  newMark,
  startChats,
} from './support/chats.ts'
import { type FleetStack, startBeforeRouter } from './support/fleet-stack.ts'
import { awaitShared, countShared } from './support/l2.ts'
import { answers, engineB, killServer, routerUrl, served, startPair } from './support/pair.ts'

const SESSIONS = 16
const OTHER_APIS: readonly (readonly [string, Ask])[] = [
  ['/v1/messages', askMessages],
  ['/v1/responses', askResponses],
]

const hasRouter = (await answers(`${engineB.url}/health`)) && (await answers(`${routerUrl}/v1/models`))
if (!hasRouter) console.log('test/engine/fleet/router.test.ts: skipped; start it: PAIR=1 ROUTER=1 npm run engine:up')

describe.skipIf(!hasRouter)("two engines behind vLLM's router", () => {
  let stack: FleetStack
  let chats: Chat[]
  let chunksBefore: number

  beforeAll(async () => {
    stack = await startBeforeRouter()
    chats = startChats(SESSIONS, stack.proxies)
    chunksBefore = await countShared()
  })
  afterAll(() => stack.close())

  it('no follow-up of a chat is cold, whichever proxy gets it, and both engines are used', async () => {
    const before = await served()
    await forAll(chats, (chat) => chat.next())
    const followUps = [...(await forAll(chats, (chat) => chat.next())), ...(await forAll(chats, (chat) => chat.next()))]
    const after = await served()

    const cold = followUps.filter(({ cachedTokens }) => cachedTokens === 0).length
    const shares = after.map((count, i) => count - (before[i] ?? 0))
    measured('behind a router, chat', { sessions: SESSIONS, followUps: followUps.length, cold, requests: shares })
    expect(cold).toBe(0)
    expect(shares.filter((requests) => requests === 0)).toEqual([])
  })

  it.each(OTHER_APIS)('no follow-up of %s is cold, though the router forwards no header there', async (path, ask) => {
    const before = await served()
    const marks = Array.from({ length: 8 }, newMark)

    const cached = await forAll(marks, (mark) => followUp(mark, stack.proxies, ask))

    const shares = (await served()).map((count, i) => count - (before[i] ?? 0))
    measured(`behind a router, ${path}`, { cached, requests: shares })
    expect(cached.filter((tokens) => tokens === 0)).toEqual([])
    expect(shares.filter((requests) => requests === 0)).toEqual([])
  })

  it('chats go on when an engine is killed, with the chunks that L2 held', async () => {
    const stored = chats.map(({ storedTokens }) => storedTokens)
    await awaitShared(chunksBefore + stored.reduce((total, tokens) => total + tokens, 0) / CHUNK)
    await killServer('vllm')

    // What the router does until it has noticed is the router's: reported, not asserted.
    const failures: number[] = []
    const cached = new Map<Chat, number>()
    await eventually(
      'every chat has had its next turn',
      async () => {
        const left = chats.filter((chat) => !cached.has(chat))
        await forAll(left, async (chat) => {
          const answer = await chat.next().catch(() => undefined)
          if (answer !== undefined) cached.set(chat, answer.cachedTokens)
        })
        failures.push(chats.length - cached.size)
        return cached.size
      },
      (done) => done === chats.length,
      { deadlineMs: 300_000, everyMs: 1_000 },
    )

    measured('behind a router, kill -9 of an engine', { sessions: SESSIONS, failuresPerRound: failures })
    expect(chats.filter((chat, i) => (cached.get(chat) ?? 0) < (stored[i] ?? 0))).toEqual([])
    await startPair({ router: true })
  })
})
