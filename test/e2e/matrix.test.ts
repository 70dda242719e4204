// Who shares KV with whom: every pair of two tenants, two users and two adapters in each isolation mode, by the engine's own cached_tokens,
// compared with the table in docs/isolation.md.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../support/client.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { modes, readMatrix } from '../support/matrix.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

const matrix = readMatrix()
const adapters = ['first', 'second'].map((name) => ({ name, path: `./${name}` }))

interface Sender {
  readonly tenant: string
  readonly adapter: string
  readonly user: string | undefined
}

const senders: readonly Sender[] = ['acme', 'other'].flatMap((tenant) =>
  adapters.flatMap(({ name: adapter }) => ['ann', 'bob'].map((user) => ({ tenant, adapter, user }))),
)
const [ann] = senders as readonly [Sender]
const nobody: Sender = { ...ann, user: undefined }

interface Pair {
  readonly name: string
  readonly a: Sender
  readonly b: Sender
  /** The session id for both; without one, each gets its own session. */
  readonly session?: string
}

const pairs: readonly Pair[] = [
  ...senders.flatMap((a, i) => senders.map((b, j) => ({ name: `${i}-${j}`, a, b }))),
  ...senders.map((b, j) => ({ name: `named-${j}`, a: ann, b, session: `s-${j}` })),
  { name: 'nobody, ann', a: nobody, b: ann },
  { name: 'nobody, nobody', a: nobody, b: nobody },
]

/** The table's line for a pair. */
function lineOf({ a, b, session }: Pair): string {
  if (a.tenant !== b.tenant) return 'another tenant'
  if (a.adapter !== b.adapter) return 'another adapter'
  if (session !== undefined) return 'the same session name'
  if (a.user !== b.user) return 'another user'
  return a.user === undefined ? 'no user, as A' : 'another session of the same user'
}

describe.each(modes)('isolation: %s', (isolation) => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ sim: { adapters, cacheBlocks: 100_000 }, settings: { isolation } })
  })
  afterAll(() => stack.close())

  const send = async (sender: Sender, words: string, headers: Record<string, string> = {}): Promise<number> => {
    const turn = await chat(stack.url, [user(words)], {
      headers: { authorization: `Bearer ${sender.tenant}`, ...headers },
      body: { model: sender.adapter, max_tokens: 1, ...(sender.user === undefined ? {} : { user: sender.user }) },
    })
    return turn.cachedTokens ?? Number.NaN
  }
  const named = (pair: Pair, run: string) =>
    pair.session === undefined ? {} : { 'x-cwm-session': `${pair.session}-${run}` }

  /** Sends all of A's requests, then all of B's. Returns what is shared, by the name of the pair. */
  async function run(name: string, between: () => Promise<unknown>): Promise<Map<string, string>> {
    const words = (pair: Pair) => `${name} ${pair.name}: ${prose(300)}`
    for (const pair of pairs) expect(await send(pair.a, words(pair), named(pair, name))).toBe(0)
    await between()
    const found = new Map<string, string>()
    for (const pair of pairs) {
      found.set(pair.name, (await send(pair.b, words(pair), named(pair, name))) > 0 ? 'shared' : 'apart')
    }
    return found
  }

  const expected = new Map(pairs.map((pair) => [pair.name, matrix.get(lineOf(pair))?.[isolation]]))

  it('matches the table with all caches intact', async () => {
    expect(await run('warm', async () => {})).toEqual(expected)
  })

  it('matches the table in LMCache, after the engine lost its cache', async () => {
    const forget = () => ask(stack.sim.engineUrl, '/reset_prefix_cache', { method: 'POST' })

    expect(await run('cold', forget)).toEqual(expected)
  })

  it('matches the table for a window thawed into a session', async () => {
    const words = `A window. ${prose(300)}`
    await send(ann, words, { 'x-cwm-freeze': 'kept' })
    await settled(stack.url, 'kept', { authorization: `Bearer ${ann.tenant}` })

    const cached = await send({ ...ann, user: 'bob' }, 'And then?', { 'x-cwm-window': 'kept' })

    expect(cached > 0 ? 'shared' : 'apart').toBe(matrix.get('a window of A thawed into it')?.[isolation])
  })
})

it('every line of the table has a pair', () => {
  expect([...matrix.keys()].sort()).toEqual([...new Set([...pairs.map(lineOf), 'a window of A thawed into it'])].sort())
})
