// Libraries with several proxies on one Redis: another one continues a build, and a change by another one counts.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LibraryDeletionJson, LibraryJson } from '../../../src/wire/libraries.ts'
import { until } from '../../support/deadline.ts'
import { addLibrary, book, putLibrary, settledLibrary, windowsOf, windowsTagged } from '../../support/libraries.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { rest } from '../../support/rest.ts'

describe.skipIf(skipsRedis)('a library of several proxies', () => {
  let fleet: Fleet
  beforeEach(async () => {
    // The freeze that is cut off is finished by the reconciler.
    fleet = await startFleet({ settings: { reconcile_interval_ms: 1_000 } })
  })
  afterEach(() => fleet?.close())

  const shown = (url: string) => rest<LibraryJson>(url, 'GET', '/libraries/book')

  it('is built to its end by another one if its proxy stops in the middle', async () => {
    const { a, b, sim } = fleet
    sim.fault({ path: '/v1/completions', after: 3, action: { kind: 'stall' } })
    await putLibrary(a.url, book(6))
    await until('it is halfway', async () => ((await shown(b.url)).build?.done ?? 0) >= 3)

    await a.stop()

    expect(await settledLibrary(b.url)).toMatchObject({ state: 'ready', windows: 6 })
    expect(await windowsTagged(b.url)).toHaveLength(6)
  })

  it('is waited for, as are its windows, without listeners that pile up', async () => {
    const { a, b, sim } = fleet
    const warnings: string[] = []
    const note = ({ name }: Error) => warnings.push(name)
    process.on('warning', note)
    sim.fault({ path: '/v1/completions', action: { kind: 'stall' } })
    await putLibrary(a.url, book(1))
    const freezing = async () => (await rest<{ data: { name: string }[] }>(b.url, 'GET', '/windows')).data[0]
    const { name } = await until('its window is being frozen', freezing)

    await Promise.all(['/libraries/book', `/windows/${name}`].map((path) => rest(b.url, 'GET', `${path}?wait_ms=3000`)))

    process.off('warning', note)
    expect(warnings).toEqual([])
  })

  it('that another proxy changes during its build becomes the newer one', async () => {
    const { a, b, sim } = fleet
    sim.fault({ path: '/v1/completions', action: { kind: 'status', status: 500 } })
    await putLibrary(a.url, book(6))

    const library = await addLibrary(b.url, book(3))

    expect(library).toMatchObject({ state: 'ready', windows: 3 })
    await until('the other windows are gone', async () => (await windowsTagged(b.url, '')).length === 3)
    expect(windowsOf(await rest(a.url, 'GET', '/libraries/book'))).toEqual(windowsOf(library))
  })

  it('that another proxy deletes during its build leaves no window', async () => {
    const { a, b, sim } = fleet
    sim.fault({ path: '/v1/completions', action: { kind: 'status', status: 500 } })
    await putLibrary(a.url, book(4))

    await rest<LibraryDeletionJson>(b.url, 'DELETE', '/libraries/book')

    await until('no window is left', async () => (await windowsTagged(b.url, '')).length === 0)
  })
})
