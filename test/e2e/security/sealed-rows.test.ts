// An attacker with write access to the store but without a key: rows moved from one record to another are rejected, not served.

import { join } from 'node:path'
import Database from 'libsql'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, errorOf, jsonOf } from '../../support/client.ts'
import { chat, user } from '../../support/conversation.ts'
import { type Stack, startStack } from '../../support/stack.ts'
import { settled } from '../../support/windows.ts'

const key = (name: string) => ({ authorization: `Bearer ${name}` })

let stack: Stack
beforeEach(async () => {
  stack = await startStack({ settings: { encryption_key: Buffer.alloc(32, 9).toString('base64') } })
  for (const name of ['victim', 'thief']) {
    await chat(stack.url, [user(`Known to the ${name} alone.`)], { headers: { ...key(name), 'x-cwm-freeze': 'w' } })
    await settled(stack.url, 'w', key(name))
  }
})
afterEach(() => stack.close())

/** Exchanges the two windows' rows in a table. */
function swap(table: 'window_prompts' | 'window_tokens'): void {
  const store = new Database(join(stack.dataDir, 'cwm.sqlite'))
  store.exec('PRAGMA foreign_keys = OFF')
  store.exec(`UPDATE ${table} SET window = -((SELECT min(seq) + max(seq) FROM windows) - window)`)
  store.exec(`UPDATE ${table} SET window = -window`)
  store.close()
}

describe('a sealed row of another tenant, moved to one’s own window', () => {
  it.each(['window_prompts', 'window_tokens'] as const)('cannot be opened: %s', async (table) => {
    const before = await ask(stack.url, '/cwm/v1/windows/w/export', { headers: key('thief') })
    await stack.stop()
    swap(table)
    await stack.restart()

    const exported = await ask(stack.url, '/cwm/v1/windows/w/export', { headers: key('thief') })
    const thawed = await ask(stack.url, '/cwm/v1/windows/w/thaw', { body: {}, headers: key('thief') })

    expect(jsonOf<{ messages: unknown[] }>(before).messages[0]).toEqual(user('Known to the thief alone.'))
    expect([exported, thawed].map((got) => errorOf(got).code)).toEqual(['window_corrupt', 'window_corrupt'])
    expect(exported.text + thawed.text).not.toContain('victim')
  })
})
