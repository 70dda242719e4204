// Builds of libraries that are interrupted, refused, or fail.

import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import type { LibraryJson } from '../../src/wire/libraries.ts'
import { errorOf } from '../support/client.ts'
import { until } from '../support/deadline.ts'
import { addLibrary, book, putLibrary, settledLibrary, windowsTagged } from '../support/libraries.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
afterEach(() => stack.close())
const started = async (settings: Partial<Settings> = {}) => {
  stack = await startStack({ settings })
}

it('goes on after a restart in the middle, and freezes nothing twice', async () => {
  await started()
  stack.sim.fault({ path: '/v1/completions', after: 3, action: { kind: 'stall' } })
  await putLibrary(stack.url, book(8))
  await until('it is halfway', async () => {
    const { build } = await rest<LibraryJson>(stack.url, 'GET', '/libraries/book')
    return (build?.done ?? 0) >= 3
  })
  const names = (await windowsTagged(stack.url, '')).filter(({ state }) => state === 'frozen').map(({ name }) => name)

  await stack.restart()

  expect(await settledLibrary(stack.url)).toMatchObject({ state: 'ready', windows: 8 })
  const windows = await windowsTagged(stack.url)
  expect(windows.map(({ name }) => name)).toEqual(expect.arrayContaining(names))
  expect(windows).toHaveLength(8)
})

it('waits while the engine is away', async () => {
  await started()
  stack.sim.fault({ path: '/v1/completions', action: { kind: 'die-before-headers' } })
  stack.sim.fault({ path: '/v1/models', times: 6, action: { kind: 'reset' } })

  expect(await addLibrary(stack.url, book(2))).toMatchObject({ state: 'ready', windows: 2 })
})

it('that fails says which window and why, and goes on with the same texts', async () => {
  await started()
  const times = Number.POSITIVE_INFINITY
  const body = { error: { message: 'no such kernel' } }
  stack.sim.fault({ path: '/v1/completions', after: 2, times, action: { kind: 'status', status: 500, body } })

  const failed = await addLibrary(stack.url, book(4))

  expect(failed).toMatchObject({ state: 'failed', windows: 0, build: { total: 4 } })
  expect(failed.build?.failure?.window).toMatch(/^lib\.book\.[\w-]{22}$/)
  expect(failed.build?.failure?.reason).toContain('no such kernel')
  expect(failed.build?.failure?.next).toContain('send the same texts again')
  expect(failed.build?.done).toBe(2)
  expect(await windowsTagged(stack.url)).toEqual([])
  stack.sim.clearFaults()
  expect(await addLibrary(stack.url, book(4))).toMatchObject({ state: 'ready', windows: 4 })
})

describe('a library without room', () => {
  it('is refused with the numbers before anything is frozen', async () => {
    await started({ max_windows: 5 })
    await addLibrary(stack.url, book(3))
    const sent = stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/completions').length

    const got = await putLibrary(stack.url, book(4), { name: 'other' })

    expect(got.status).toBe(403)
    expect(errorOf(got)).toMatchObject({ code: 'quota_exceeded', param: 'texts' })
    expect(errorOf(got).message).toContain('4 more windows, and this tenant uses 3 of 5 (setting max_windows)')
    expect(stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/completions')).toHaveLength(sent)
    expect(await windowsTagged(stack.url, '')).toHaveLength(3)
  })

  it('may have too many bytes, or too many pinned tokens', async () => {
    await started({ max_window_bytes: 9_000, max_pinned_tokens: 500 })

    expect(errorOf(await putLibrary(stack.url, book(4))).message).toContain('setting max_window_bytes')
    expect(errorOf(await putLibrary(stack.url, book(2))).message).toContain('setting max_pinned_tokens')
    expect((await addLibrary(stack.url, book(1))).state).toBe('ready')
  })
})
