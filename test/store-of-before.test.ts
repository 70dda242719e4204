// The data of the previous version is usable: windows, sessions, histories, libraries, open deletes, tenant settings. The stores are real ones,
// created by that version (scripts/store-fixtures). LMCache and engine are new, so all KV is recomputed.

import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Settings } from '../src/config/schema.ts'
import type { DeletionJson } from '../src/wire/deletions.ts'
import type { LibraryJson } from '../src/wire/libraries.ts'
import type { PageJson } from '../src/wire/lists.ts'
import type { ThawReceiptJson } from '../src/wire/receipts.ts'
import { jsonOf } from './support/client.ts'
import { type ChatMessage, chat, user } from './support/conversation.ts'
import { until } from './support/deadline.ts'
import { fillRedis, type Held, layFile, olderStores, readStores } from './support/older-stores.ts'
import { RedisServer, skipsRedis } from './support/redis-server.ts'
import { call, rest } from './support/rest.ts'
import { type Stack, startStack } from './support/stack.ts'
import { settled } from './support/windows.ts'

/** The settings of the older cwm when it created them: nothing expires. */
const CENTURY_MS = 100 * 365 * 24 * 3_600_000

interface Opened {
  readonly stack: Stack
  readonly held: Held
  readonly headers: Record<string, string>
  close(): Promise<void>
}

async function opened(name: string, store: 'sqlite' | 'redis'): Promise<Opened> {
  const { secret, key, ...stores } = readStores(name)
  const settings: Partial<Settings> = {
    secret,
    retain: 'disk',
    boundary_ttl_ms: CENTURY_MS,
    session_ttl_ms: CENTURY_MS,
    deletion_keep_ms: CENTURY_MS,
    deletion_retry_ms: 500,
  }
  const before = { held: stores[store], headers: { authorization: `Bearer ${key}` } }
  if (store === 'redis') {
    const redis = await RedisServer.start()
    await fillRedis(name, redis.url)
    const stack = await startStack({ settings: { ...settings, store: redis.url } })
    const close = async () => {
      await stack.close()
      await redis.dispose()
    }
    return { ...before, stack, close }
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'cwm-older-'))
  layFile(name, dataDir)
  const stack = await startStack({ settings: { ...settings, data_dir: dataDir } })
  return { ...before, stack, close: () => stack.close() }
}

const each = olderStores.flatMap((name) => [
  { name, store: 'sqlite' as const },
  { name, store: 'redis' as const },
])

describe.each(each)('the $store of $name', ({ name, store }) => {
  describe.skipIf(store === 'redis' && skipsRedis)('opened by this version', () => {
    let stack: Stack
    let held: Held
    let headers: Record<string, string>
    let close: () => Promise<void>
    beforeAll(async () => {
      ;({ stack, held, headers, close } = await opened(name, store))
    })
    afterAll(() => close?.())

    const turn = (messages: readonly ChatMessage[], more: Record<string, string> = {}) =>
      chat(stack.url, messages, { headers: { ...headers, ...more } })

    it('has the windows, word for word', async () => {
      expect(held.windows.length).toBeGreaterThan(0)
      for (const { name, tokens, messages } of held.windows) {
        const window = await settled(stack.url, name, headers)
        const got = await call(stack.url, 'GET', `/windows/${name}/export`, undefined, headers)

        expect(window).toMatchObject({ state: 'frozen', receipt: { tokens } })
        expect(jsonOf<{ messages: unknown }>(got).messages).toEqual(messages)
      }
    })

    it('thaws them, with the ids with which they were frozen', async () => {
      for (const { name, tokens } of held.windows) {
        const thaw = await rest<ThawReceiptJson>(
          stack.url,
          'POST',
          `/windows/${name}/thaw`,
          { session_id: `of-${name}` },
          headers,
        )

        expect(thaw).toMatchObject({ window: name, tokens, drift: false })
        const said = await turn([user('and now?')], { 'x-cwm-session': `of-${name}` })
        expect(said.promptTokens).toBeGreaterThan(tokens)
      }
    })

    it("finds the unnamed chat's session by its next turn, even if an early message was replaced", async () => {
      const { session, history } = held.unnamed
      const next = [...history, user('and now?')]

      const [same, edited] = [await turn(next), await turn(next.with(4, user('cleared')))]

      expect([same.session, edited.session]).toEqual([session, session])
      // Boundaries that this version adds are beside those that it found.
      const later = await turn([...next, same.reply, user('and then?')])
      expect(later.session).toBe(session)
      expect(later.cachedTokens).toBeGreaterThanOrEqual(same.promptTokens - 32)
    })

    it('has the named session, and its last turn', async () => {
      const { session } = held.named

      expect(await rest(stack.url, 'GET', `/sessions/${session}`, undefined, headers)).toMatchObject({
        named: true,
        turns: 1,
      })
      await rest(stack.url, 'POST', '/windows', { name: 'frozen-later', session_id: session }, headers)
      expect(await settled(stack.url, 'frozen-later', headers)).toMatchObject({ state: 'frozen' })
    })

    it('has the libraries, ready', async () => {
      const { data } = await rest<PageJson<LibraryJson>>(stack.url, 'GET', '/libraries', undefined, headers)

      const { library } = held
      expect(data).toMatchObject(library === undefined ? [] : [{ ...library, state: 'ready' }])
      expect(data).toHaveLength(library === undefined ? 0 : 1)
    })

    it('completes the open delete', async () => {
      const { id, name } = held.deletion
      const shown = () => rest<DeletionJson>(stack.url, 'GET', `/deletions/${id}`, undefined, headers)

      const done = await until('the delete is done', async () => {
        const deletion = await shown()
        return deletion.state === 'done' ? deletion : undefined
      })

      expect(done).toMatchObject({ name, residual_chunks: 0, unpinned: true, lineage_retired: true })
    })

    it("keeps the tenant's settings", async () => {
      const chosen = await rest(stack.url, 'GET', '/tenants/me/near-limit', undefined, headers)

      expect(chosen).toMatchObject(held.choices)
    })
  })
})
