// One change to many windows: a result for each, and one failure does not stop the others.

import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { AuditEntryJson } from '../../src/wire/audit.ts'
import type { BulkAnswerJson } from '../../src/wire/bulk.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { errorOf } from '../support/client.ts'
import { prose } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { call, placements, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let round = 0
let names: readonly string[] = []

beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())
beforeEach(async () => {
  round++
  names = ['a', 'b', 'c'].map((name) => `${name}-${round}`)
  for (const name of names) {
    await rest(stack.url, 'PUT', `/windows/${name}`, { model: 'sim-model', document: prose(400, name), tags: ['own'] })
  }
})

const bulk = (body: object) => rest<BulkAnswerJson>(stack.url, 'POST', '/windows/bulk', body)
const shown = async () => await Promise.all(names.map((name) => rest<WindowJson>(stack.url, 'GET', `/windows/${name}`)))

it('adds and removes tags, and leaves the others', async () => {
  const tagged = await bulk({ names, action: 'tag', tags: ['law', 'old'] })
  expect((await shown()).map(({ tags }) => tags)).toEqual(names.map(() => ['law', 'old', 'own']))

  const untagged = await bulk({ names, action: 'untag', tags: ['old', 'never-there'] })

  expect(tagged).toMatchObject({
    action: 'tag',
    changed: 3,
    failed: 0,
    results: names.map((name) => ({ name, error: null })),
  })
  expect(untagged.results.map(({ window }) => window?.tags)).toEqual(names.map(() => ['law', 'own']))
})

it('unpins and pins', async () => {
  const unpinned = await bulk({ names, action: 'unpin' })
  expect((await shown()).map(({ pin }) => pin)).toEqual(['released', 'released', 'released'])

  const pinned = await bulk({ names, action: 'pin' })

  expect([unpinned.changed, pinned.changed]).toEqual([3, 3])
  expect((await shown()).map(({ pin }) => pin)).toEqual(['pinned', 'pinned', 'pinned'])
})

it('deletes with a receipt for each, and their sessions only if asked', async () => {
  await rest(stack.url, 'POST', `/windows/${names[0]}/thaw`, { session_id: `kept-${round}` })
  await rest(stack.url, 'POST', `/windows/${names[1]}/thaw`, { session_id: `ended-${round}` })

  const [kept, ended] = [
    await bulk({ names: [names[0]], action: 'delete' }),
    await bulk({ names: [names[1]], action: 'delete', sessions: 'end' }),
  ]

  expect(kept.results).toMatchObject([
    { name: names[0], error: null, deletion: { kind: 'window', held_by: { count: 1 } } },
  ])
  expect(ended).toMatchObject({ changed: 1, results: [{ deletion: { state: 'done', held_by: null } }] })
  const after = await Promise.all(
    [`kept-${round}`, `ended-${round}`].map((id) => call(stack.url, 'GET', `/sessions/${id}`)),
  )
  expect(after.map(({ status }) => status)).toEqual([200, 404])
})

it('deletes many, and no KV is left', async () => {
  const before = await placements(stack.sim)

  const got = await bulk({ names, action: 'delete' })

  expect(got).toMatchObject({ changed: 3, failed: 0 })
  expect(got.results.map(({ deletion }) => deletion?.residual_chunks)).toEqual([0, 0, 0])
  expect(await placements(stack.sim)).toBeLessThan(before)
})

it('says which windows failed and why, and changes the others', async () => {
  const full = Array.from({ length: 32 }, (_, n) => `t${n}`)
  await rest(stack.url, 'PATCH', `/windows/${names[1]}`, { tags: full })

  const got = await bulk({ names: [...names, 'nothing', names[0]], action: 'tag', tags: ['law'] })

  expect(got).toMatchObject({ changed: 2, failed: 2 })
  expect(got.results.map(({ name, error }) => [name, error?.code])).toEqual([
    [names[0], undefined],
    [names[1], 'invalid_field'],
    [names[2], undefined],
    ['nothing', 'window_not_found'],
  ])
})

it('is audited as one operation for each window', async () => {
  await bulk({ names, action: 'delete' })

  const deleted = await until('the audit log has all', async () => {
    const { data } = await rest<{ data: AuditEntryJson[] }>(stack.url, 'GET', '/audit')
    const found = data.filter(({ action, name }) => action === 'delete' && names.includes(name))
    return found.length === names.length ? found : undefined
  })
  expect(deleted.map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'ok'])
})

it.each([
  [{ names: [], action: 'pin' }],
  [{ names: Array.from({ length: 101 }, (_, n) => `w${n}`), action: 'pin' }],
  [{ names: ['a'], action: 'tag' }],
  [{ names: ['a'], action: 'tag', tags: [] }],
  [{ names: ['a'], action: 'pin', tags: ['x'] }],
  [{ names: ['a'], action: 'tag', tags: ['two words'] }],
  [{ names: ['a'], action: 'thaw' }],
  [{ action: 'pin' }],
])('refuses %j', async (body) => {
  const got = await call(stack.url, 'POST', '/windows/bulk', body)

  expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_field'])
})
