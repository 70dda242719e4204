import { describe, expect, it } from 'vitest'
import { collectGarbage } from '../../test/support/collect-garbage.ts'
import type { CwmEvent } from '../base/events.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import type { SessionRecord, Usage } from '../base/records.ts'
import { LiveSession } from '../sessions/live-session.ts'
import { NewestSessions } from '../sessions/newest.ts'
import { HeldTurn, type RetainedTurn } from '../sessions/retained-turn.ts'
import type { RetainedPrompt } from '../store/store-values.ts'
import { toRetainedPrompt } from '../windows/turn-prompt.ts'
import { BreakFinder, type DeliveredTurn } from './break-finder.ts'

const LONG = 'word '.repeat(1_000)
const usage = (promptTokens: number, cachedTokens: number): Usage => ({
  promptTokens,
  completionTokens: 10,
  totalTokens: promptTokens + 10,
  cachedTokens,
})
const record: SessionRecord = {
  tenant: 't',
  id: 's',
  named: true,
  lineage: 'l',
  head: 0,
  spaces: [],
  createdAt: 1,
  lastTurnAt: 5,
  turns: 1,
  usage: usage(1_000, 0),
}

const retained = (
  messages: readonly object[],
  promptTokens: number,
  more: Partial<RetainedTurn> = {},
): RetainedTurn => ({
  dialect: 'chat',
  body: Buffer.from(JSON.stringify({ model: 'm', messages })),
  reply: [{ role: 'assistant', content: 'yes' }],
  promptTokens,
  clientSalt: undefined,
  lineage: 'l',
  parent: undefined,
  ...more,
})
const words = (content: string) => ({ role: 'user', content })
const lastTurn = retained([words(LONG)], 1_000)
/** Continues from the last turn, with nothing cached. */
const next = retained([words(LONG), { role: 'assistant', content: 'yes' }, words('more')], 1_020)

const heldOf = (turn: RetainedTurn | undefined) => turn && new HeldTurn(turn)

interface AtHand {
  readonly last?: RetainedTurn
  readonly stored?: RetainedPrompt
  readonly peek?: () => RetainedTurn | undefined
  readonly find?: (tenant: string, id: string) => Promise<RetainedPrompt | undefined>
}

function finder(atHand: AtHand = { last: lastTurn }) {
  const { last, stored, peek = () => last, find = () => Promise.resolve(stored) } = atHand
  const metrics = createMetrics()
  const events: Omit<CwmEvent, 'at'>[] = []
  const saved: SessionRecord[] = []
  const newest = new NewestSessions(10_000)
  const breaks = new BreakFinder({
    retained: { peek: () => heldOf(peek()), find },
    newest,
    sessions: { save: async (session) => void saved.push(session.record) },
    events: { emit: (event) => void events.push(event) },
    log: silentLogger,
    metrics,
    now: () => 9,
  })
  return { breaks, events, saved, newest }
}

/** A second turn without cached tokens. */
function cold(change: Partial<DeliveredTurn> = {}, after: Partial<SessionRecord> = {}): DeliveredTurn {
  const before = change.before ?? record
  return {
    session: new LiveSession({ ...before, turns: before.turns + 1, lastTurnAt: 8, ...after }, { stored: true }),
    before,
    turn: next,
    stored: Promise.resolve(),
    usage: usage(1_020, 0),
    answers: 1,
    found: 'named',
    scope: '[2,"t","chat",[]]',
    hasHistory: true,
    cut: undefined,
    clientIndex: (sent) => sent,
    ...change,
  }
}

async function causeOf(
  delivered: DeliveredTurn,
  { breaks }: Pick<ReturnType<typeof finder>, 'breaks'> = finder(),
): Promise<string | undefined> {
  breaks.inspect(delivered)
  await breaks.settle()
  return delivered.session.record.prefixBreak?.cause
}

describe('a cold turn', () => {
  it('is recorded in the session and as an event', async () => {
    const { breaks, events } = finder()
    const delivered = cold()

    expect(await causeOf(delivered, { breaks })).toBe('evicted')

    expect(delivered.session.record.prefixBreak).toEqual({
      at: 9,
      cause: 'evicted',
      cachedTokens: 0,
      expectedTokens: 1_000,
    })
    expect(events).toEqual([
      {
        tenant: 't',
        kind: 'prefix_broken',
        session: 's',
        details: {
          cause: 'evicted',
          message: null,
          field: null,
          offset: null,
          cached_tokens: 0,
          expected_tokens: 1_000,
        },
      },
    ])
  })

  it("has the client's index of the message that differs, and none for a window's message", async () => {
    const turn = retained(
      [words('window'), words(`!${LONG}`), { role: 'assistant', content: 'yes' }, words('x')],
      1_030,
    )
    const last = retained([words('window'), words(LONG)], 1_000)
    const mine = cold({ turn, clientIndex: (sent) => sent - 1 })
    const windows = cold({ turn, clientIndex: () => undefined })

    await causeOf(mine, finder({ last }))
    await causeOf(windows, finder({ last }))

    expect(mine.session.record.prefixBreak).toMatchObject({ cause: 'message', message: 0, field: 'content' })
    expect(windows.session.record.prefixBreak).toMatchObject({ cause: 'message', field: 'content' })
    expect(windows.session.record.prefixBreak).not.toHaveProperty('message')
  })

  it('reads the previous turn from the store if it is there', async () => {
    expect(await causeOf(cold(), finder({ stored: toRetainedPrompt(lastTurn) }))).toBe('evicted')
  })

  it('has an unknown cause if the previous turn is unavailable, another one, or too large', async () => {
    const huge = Buffer.alloc(4 * 1024 * 1024 + 1)

    expect(await causeOf(cold(), finder({}))).toBe('unknown')
    expect(await causeOf(cold(), finder({ last: retained([words(LONG)], 777) }))).toBe('unknown')
    expect(await causeOf(cold(), finder({ last: { ...lastTurn, body: huge } }))).toBe('unknown')
    expect(await causeOf(cold({ turn: { ...next, body: huge } }))).toBe('unknown')
  })

  it('is reported only as an event if another turn was answered meanwhile', async () => {
    const { breaks, events, saved } = finder()
    const delivered = cold()

    breaks.inspect(delivered)
    delivered.session.change({ turns: delivered.session.record.turns + 1 })
    await breaks.settle()

    expect(delivered.session.record.prefixBreak).toBeUndefined()
    expect([events.length, saved]).toEqual([1, []])
  })

  it('is stored with its session, once the turn is', async () => {
    let settle = () => {}
    const stored = new Promise<void>((resolve) => {
      settle = resolve
    })
    const { breaks, saved } = finder()
    const delivered = cold({ stored })
    breaks.inspect(delivered)
    await new Promise((resolve) => setImmediate(resolve))
    const before = saved.length

    settle()
    await breaks.settle()

    expect([before, saved]).toEqual([0, [delivered.session.record]])
    expect(saved[0]?.prefixBreak?.cause).toBe('evicted')
  })

  it('holds no body that is too large to be read', async () => {
    let release = () => {}
    const released = new Promise<undefined>((resolve) => {
      release = () => resolve(undefined)
    })
    const huge = () => Buffer.alloc(4 * 1024 * 1024 + 1)
    let held: RetainedTurn | undefined
    const { breaks } = finder({ peek: () => held, find: () => released })
    const lookAtLarge = () => {
      const own = { ...next, body: huge() }
      breaks.inspect(cold({ turn: own }))
      held = { ...lastTurn, body: huge() }
      breaks.inspect(cold())
      const bodies = [new WeakRef(own.body), new WeakRef(held.body)]
      held = undefined
      return bodies
    }

    breaks.inspect(cold())
    const bodies = lookAtLarge()
    await new Promise((resolve) => setImmediate(resolve))
    collectGarbage()

    expect(bodies.map((body) => body.deref()?.length)).toEqual([undefined, undefined])
    release()
    await breaks.settle()
  })
})

describe('an unknown history', () => {
  const scope = '[2,"t","chat",["u"]]'

  it('is compared with the last turns of its scope one by one, until one explains it', async () => {
    const asked: string[] = []
    let reading = 0
    const { breaks, newest } = finder({
      find: async (_, id) => {
        asked.push(id)
        expect(++reading).toBe(1)
        await new Promise((resolve) => setImmediate(resolve))
        reading--
        return toRetainedPrompt(
          retained(id === 'b' ? [words('hello'), words(LONG)] : [words('of something else')], 1_000),
        )
      },
    })
    for (const id of ['a', 'b', 'c', 'd']) newest.record(scope, id)
    const edited = retained(
      [words('hello'), words(`!${LONG}`), { role: 'assistant', content: 'yes' }, words('more')],
      1_020,
    )
    const delivered = cold({
      before: { ...record, turns: 0, usage: undefined as never },
      found: 'new',
      scope,
      turn: edited,
    })

    breaks.inspect(delivered)
    await breaks.settle()

    expect(asked).toEqual(['d', 'c', 'b'])
    expect(delivered.session.record.prefixBreak?.cause).toBe('message')
  })
})

describe('nothing is reported for', () => {
  const thaw = { at: 6 } as NonNullable<SessionRecord['thaw']>

  it.each([
    ['a first turn', cold({ before: { ...record, turns: 0, usage: undefined as never } })],
    ['a turn during which another one finished', cold({}, { turns: 3 })],
    ['a turn during which a window was thawed into its session', cold({}, { head: 1 })],
    ['the first turn after a thaw', cold({ before: { ...record, thaw } })],
    ['a turn after another window', cold({ turn: { ...next, parent: 'w' } })],
    ['a turn of another lineage', cold({ turn: { ...next, lineage: 'm' } })],
    ['a new cut', cold({ cut: 'new' })],
    ['a continuation of a stored response', cold({ found: 'response' })],
    ['a completion', cold({ turn: { ...next, dialect: 'completions' } })],
    [
      'a turn without token counts from the engine',
      cold({ usage: { promptTokens: 1_020, completionTokens: 1, totalTokens: 1_021 } }),
    ],
    [
      'a turn without a reply in its history, whose previous turn is unavailable',
      cold({ hasHistory: false, turn: { ...next, body: Buffer.alloc(5_000_000) } }),
    ],
  ])('%s', async (_, delivered) => {
    expect(await causeOf(delivered)).toBeUndefined()
  })

  it('a body that cannot be parsed; the next cold turn is reported again', async () => {
    const both = finder()
    const unreadable = cold({ turn: { ...next, body: Buffer.from('{"messages":7}') } })

    expect(await causeOf(unreadable, both)).toBeUndefined()
    expect(await causeOf(cold(), both)).toBe('evicted')
  })

  it('more than sixteen waiting turns', async () => {
    const { breaks, events } = finder()

    for (let i = 0; i < 20; i++) breaks.inspect(cold())
    await breaks.settle()

    expect(events).toHaveLength(16)
  })
})

it('reports turns under one cut, but not the first one without it', async () => {
  const both = finder()
  const warm = { usage: usage(1_020, 1_008) }
  both.breaks.inspect(cold({ cut: 'one', ...warm }))

  expect(await causeOf(cold({ cut: 'one' }), both)).toBe('evicted')
  expect(await causeOf(cold(), both)).toBeUndefined()
})

it('reports nothing if a turn continues any of several answers', async () => {
  const both = finder()
  both.breaks.inspect(cold({ answers: 4, usage: usage(1_020, 1_008) }))
  const chosen = retained([words(LONG), { role: 'assistant', content: LONG }, words('x')], 2_020)
  const before = { ...record, usage: { ...usage(1_000, 0), completionTokens: 4_000 } }

  expect(await causeOf(cold({ before, turn: chosen, usage: usage(2_020, 960) }), both)).toBeUndefined()
})
