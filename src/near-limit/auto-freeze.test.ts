// Decides when a filling session is frozen, turn by turn. The freeze itself is replaced.

import { describe, expect, it } from 'vitest'
import { BackgroundSlots } from '../admission/background.ts'
import { CwmError } from '../base/errors.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import type { SessionRecord, WindowRecord } from '../base/records.ts'
import type { NearLimit } from '../base/tenants.ts'
import { LiveSession } from '../sessions/live-session.ts'
import type { BackgroundFreeze } from '../windows/new-window.ts'
import { AutoFreezer } from './auto-freeze.ts'
import { AutoFreezeRunner } from './auto-freeze-runner.ts'

const LIMIT = 1_000
const record: SessionRecord = {
  tenant: 't',
  id: 's',
  named: true,
  lineage: 'l',
  head: 0,
  spaces: [],
  createdAt: 1,
  lastTurnAt: 1,
  turns: 1,
  limit: LIMIT,
}
const nearLimit: NearLimit = {
  overflow: 'pass',
  freezeAt: 0.75,
  rolloverTo: 0.5,
  keepFirst: 0,
  rolloverNote: false,
  maxAutoPerSession: 8,
  maxAutoWindows: 1_000,
}

const windowOf = (name: string, state: WindowRecord['state']) => ({ name, state }) as WindowRecord
const say = (...words: readonly string[]) => words.map((content) => ({ role: 'user', content }))

/** Turns of one session. */
function setUp(proof?: Promise<void>, displaced: readonly string[] = []) {
  const frozen: string[] = []
  const session = new LiveSession(record, { stored: true })
  const windows = {
    reserveAuto: async (_: string, name: string) => ({ name, release: () => {} }),
    list: async () => ({ items: [] }),
    freeze: async (_: unknown, { name }: { readonly name: string }, __: unknown, how?: BackgroundFreeze) => {
      const number = name.slice(name.lastIndexOf('.') + 1)
      frozen.push(number)
      if (displaced.includes(number)) {
        how?.onRecorded?.()
        throw new CwmError('OVERLOADED', 'displaced from the queue')
      }
      await proof
      return windowOf(name, 'frozen')
    },
  }
  const freezes = new AutoFreezeRunner({
    windows,
    budget: { trim: async () => {}, makeRoom: async () => false },
    sessions: { save: async () => {} },
    metrics: createMetrics(),
    log: silentLogger,
  })
  const freezeSlots = new BackgroundSlots({ kind: 'freezes', slots: 1, boundOf: () => undefined }, createMetrics())
  let at = 0
  const freezer = new AutoFreezer({ freezes, freezeSlots, windows, now: () => ++at, cooldownMs: 0 })

  const begin = (tokens: number, messages: readonly object[], clientWindow?: Promise<WindowRecord | undefined>) => {
    const body = Buffer.from(JSON.stringify({ model: 'm', messages }))
    const reply = [{ role: 'assistant', content: 'yes' }]
    const kept = { promptTokens: tokens - 1, clientSalt: undefined, lineage: 'l', parent: undefined }
    const usage = { promptTokens: tokens - 1, completionTokens: 1, totalTokens: tokens }
    const turn = { dialect: 'chat', body, reply, ...kept } as const
    freezer.afterTurn({ session, turn, usage, nearLimit, sharer: 't', clientWindow }, { apiKey: undefined })
  }
  const over = () => freezes.settle()
  const turn = async (...given: Parameters<typeof begin>) => {
    begin(...given)
    await over()
  }
  return { session, frozen, begin, over, turn }
}

describe('a session near its limit', () => {
  it('is frozen once, and again a tenth of the limit later', async () => {
    const { frozen, turn } = setUp()

    for (const tokens of [700, 760, 800, 850, 870]) await turn(tokens, say('a'))

    expect(frozen).toEqual(['1', '2'])
  })

  it('is not frozen again while the reconciler has a freeze to finish that was displaced after it was recorded', async () => {
    const { frozen, turn } = setUp(undefined, ['1'])

    for (const tokens of [760, 770, 859]) await turn(tokens, say('a'))
    expect(frozen).toEqual(['1'])
    await turn(860, say('a'))

    expect(frozen).toEqual(['1', '2'])
  })

  it('counts as frozen by its client only once the client’s window is frozen', async () => {
    const { session, frozen, begin, over, turn } = setUp()
    let done: (window: WindowRecord) => void = () => {}
    const own = new Promise<WindowRecord>((resolve) => {
      done = resolve
    })

    begin(800, say('a'), own)
    await new Promise((resolve) => setImmediate(resolve))
    const before = session.record.auto
    begin(810, say('a'))
    done(windowOf('by-hand', 'frozen'))
    await over()
    await turn(820, say('a'))

    expect([before, session.record.auto?.window, frozen]).toEqual([undefined, 'by-hand', []])
  })

  it.each([
    ['failed', windowOf('by-hand', 'failed')],
    ['could not be recorded', undefined],
  ])('is frozen with its next turn if its client’s own freeze %s', async (_, window) => {
    const { session, frozen, turn } = setUp()

    await turn(800, say('a'), Promise.resolve(window))
    const before = session.record.auto
    await turn(810, say('a'))

    expect([before, frozen]).toEqual([undefined, ['1']])
  })
})

describe('a session with a running freeze', () => {
  it('is not frozen concurrently, even after a freeze by its client has finished', async () => {
    let prove = () => {}
    const { frozen, begin, over } = setUp(new Promise<void>((resolve) => (prove = resolve)))

    begin(760, say('a'))
    begin(770, say('a'), Promise.resolve(windowOf('by-hand', 'frozen')))
    await new Promise((resolve) => setImmediate(resolve))
    begin(900, say('a'))
    prove()
    await over()

    expect(frozen).toEqual(['1'])
  })
})

describe('a session that was frozen', () => {
  it('is not frozen again because of side requests under its name: titles, tags, repeated requests', async () => {
    const { frozen, turn } = setUp()

    for (const tokens of [800, 810, 820, 830]) {
      await turn(tokens, say('the', 'whole', 'chat'))
      await turn(50, say(`a title for ${tokens}?`))
      await turn(60, say('you write tags', `tags for ${tokens}?`))
      await turn(60, say('you write tags', `tags for ${tokens}?`))
    }

    expect(frozen).toEqual(['1'])
  })

  it('is frozen again when it refills after shrinking, whatever the side requests', async () => {
    const { frozen, turn } = setUp()

    await turn(800, say('a', 'b', 'c', 'd'))
    await turn(300, say('a', 'B'))
    await turn(50, say('a title?'))
    await turn(400, say('a', 'B', 'c'))
    await turn(760, say('a', 'B', 'c', 'd'))

    expect(frozen).toEqual(['1', '2'])
  })
})
