import { describe, expect, it } from 'vitest'
import { judge } from './judge.mjs'
import { boundOf } from './moves.mjs'

/** A turn of conversation `c` that engine `e` answered at time `at`, with the fields of `rest` on both sides. */
function turn(id, at, rest = {}) {
  const { engine = 'e1', salt = 's', ...more } = rest
  const attempt = {
    id,
    conversation: 'c',
    tenant: 't',
    named: false,
    cwm: 'p1',
    at,
    end: at + 10,
    ok: true,
    session: 'x',
    prompt: 600,
    cached: 0,
  }
  return { attempt: { ...attempt, ...more }, arrival: { id, engine, salt, at: at + 1 } }
}

const runOf = (turns, events = [], slow = []) => ({
  slow,
  attempts: turns.map(({ attempt }) => attempt),
  arrivals: turns.flatMap(({ arrival }) => (arrival === undefined ? [] : [arrival])),
  events,
})

const failed = (id, at, failure, rest = {}) => {
  const { engine, ...more } = rest
  const { attempt, arrival } = turn(id, at, { engine, ...more })
  return { attempt: { ...attempt, ok: false, failure }, ...(engine !== undefined && { arrival }) }
}

const killed = { kind: 'engine killed', name: 'engine e1 killed', engine: 'e1', at: 100, settled: 110, engines: 4 }

describe('the promises of a fleet', () => {
  it('are kept by a warm follow-up', () => {
    const { faults, cold } = judge(runOf([turn(1, 0), turn(2, 50, { cached: 592 })]))

    expect({ faults, cold }).toEqual({ faults: [], cold: [] })
  })

  it('are broken by a salt that two conversations used, even if one got no answer', () => {
    const { faults } = judge(runOf([turn(1, 0), { ...failed(2, 5000, 'broken', { conversation: 'd', engine: 'e1' }) }]))

    expect(faults).toContain('1 salts were used by more than one conversation')
  })

  it('are broken by a session that changed its salt', () => {
    const { faults } = judge(runOf([turn(1, 0), turn(2, 50, { salt: 'other', cached: 592 })]))

    expect(faults).toEqual(['1 sessions changed their salt', '1 follow-ups cold without a cause'])
  })

  it('are kept by a temporary salt while the store does not answer', () => {
    const outage = { kind: 'redis killed', name: 'Redis killed', at: 40, settled: 40, back: 90, engines: 4 }
    const turns = [turn(1, 0), turn(2, 50, { salt: 'other', degraded: true }), turn(3, 2000, { cached: 592 })]

    const { faults, cold } = judge(runOf(turns, [outage]))

    expect(faults).toEqual([])
    expect(cold).toEqual([{ what: 'cold', cause: 'begun anew: Redis was away', count: 1 }])
  })

  it('are kept by a new session after the store was too slow to keep the last one', () => {
    const turns = [turn(1, 0), turn(2, 50, { salt: 'other', session: 'y' })]

    const { faults, cold } = judge(runOf(turns, [], [{ cwm: 'p1', at: 0, end: 20 }]))

    expect(faults).toEqual([])
    expect(cold).toEqual([{ what: 'cold', cause: 'begun anew: the store answered too late', count: 1 }])
  })

  it('are broken by a request that two engines received', () => {
    const run = runOf([turn(1, 0)])

    const { faults } = judge({ ...run, arrivals: [...run.arrivals, { id: 1, engine: 'e2', salt: 's', at: 3 }] })

    expect(faults).toEqual(['1 requests were sent to engines more than once'])
  })

  it('are broken by an answer that is in no log', () => {
    expect(judge({ ...runOf([turn(1, 0)]), arrivals: [] }).faults).toEqual(["1 answers are in no engine's log"])
  })

  it('are broken by a cold follow-up at the same engine', () => {
    expect(judge(runOf([turn(1, 0), turn(2, 50)])).faults).toEqual(['1 follow-ups cold without a cause'])
  })
})

describe('failures', () => {
  it('have a cause if they were in flight at an engine that was killed', () => {
    expect(judge(runOf([failed(1, 95, '502', { engine: 'e1' })], [killed])).failures).toEqual([
      { kind: '502', cause: 'engine e1 killed', count: 1 },
    ])
  })

  it.each([
    ['at another engine', failed(1, 95, '502', { engine: 'e2' })],
    ['later', failed(1, 5000, '502', { engine: 'e1' })],
  ])('have none if they were %s', (_, one) => {
    expect(judge(runOf([one], [killed])).faults).toEqual(['1 requests failed without a cause: 502'])
  })

  it('have a cause if the client came to a cwm that was away', () => {
    const away = { kind: 'cwm killed', name: 'cwm p1 killed', cwm: 'p1', at: 100, settled: 100, back: 900, engines: 4 }
    const turns = [failed(1, 500, 'refused'), failed(2, 500, 'refused', { cwm: 'p2' })]

    expect(judge(runOf(turns, [away])).failures.map(({ cause, count }) => [cause, count])).toEqual([
      ['cwm p1 killed', 1],
      [undefined, 1],
    ])
  })
})

describe('moves', () => {
  const moved = [turn(1, 0), turn(2, 200, { engine: 'e2', cached: 512 })]

  it('are counted over an event, with what was loaded', () => {
    const { moves, cold } = judge(runOf(moved, [killed]))

    expect(moves).toEqual([{ name: 'engine e1 killed', compared: 1, moved: 1, strays: 0, bound: boundOf(1, 4) }])
    expect(cold).toEqual([{ what: 'from L2', cause: 'its engine was killed', count: 1 }])
  })

  it('away from an engine that stayed are a fault', () => {
    const { faults } = judge(runOf(moved, [{ ...killed, engine: 'e3', name: 'engine e3 killed' }]))

    expect(faults).toContain('engine e3 killed: 1 sessions moved away from engines that stayed')
  })

  it('that did not happen although the engine had left are a fault', () => {
    const left = { ...killed, kind: 'engine left', name: 'engine e1 drained', isUneven: true }
    const there = [turn(1, 0), turn(2, 200, { engine: 'e1', cached: 512 })]

    expect(judge(runOf(there, [left])).faults).toContain('engine e1 drained: 1 sessions were still there afterwards')
    expect(judge(runOf(moved, [left])).moves[0]).toMatchObject({ moved: 1, stayed: 0 })
  })

  it('above the bound are a fault', () => {
    const many = Array.from({ length: 8 }, (_, n) => [
      turn(2 * n, 0, { conversation: `c${n}`, session: `x${n}`, salt: `s${n}` }),
      turn(2 * n + 1, 200, { conversation: `c${n}`, session: `x${n}`, salt: `s${n}`, engine: 'e2', cached: 512 }),
    ]).flat()

    expect(judge(runOf(many, [killed])).faults).toEqual(['engine e1 killed: 8 sessions moved, at most 6 may'])
  })
})
