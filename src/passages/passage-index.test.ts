import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { failingLibsql, passageIndexOver, SomeWindows } from '../../test/support/passages.ts'
import { CwmError } from '../base/errors.ts'
import { createMetrics } from '../base/metrics.ts'
import type { PassageIndex, PassageIndexParts } from './passage-index.ts'

let windows: SomeWindows
let opened: PassageIndex[]
const { signal } = new AbortController()

beforeEach(() => {
  windows = new SomeWindows()
  opened = []
})

afterEach(async () => {
  for (const index of opened) await index.close()
})

function open(change: Partial<PassageIndexParts> = {}): PassageIndex {
  const index = passageIndexOver(windows, change)
  opened.push(index)
  return index
}

async function gauges(metrics: ReturnType<typeof createMetrics>) {
  const text = await metrics.text()
  const read = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
  return { bytes: read('cwm_passage_index_bytes'), windows: read('cwm_passage_index_windows') }
}

const filler = (about: string, characters: number) => `Some words about ${about} and the like. `.repeat(characters / 40)

describe('which windows fit', () => {
  it('ranks windows by their best passage, and quotes it with its message', async () => {
    windows.add('harbor', [
      { role: 'user', content: 'Tell me about the harbor.' },
      { role: 'assistant', content: 'The ferry leaves the quay at seven.' },
    ])
    windows.add('mill', 'The mill grinds in the evening. The ferry does not stop there.')
    windows.add('bakery', 'Bread, salt, and water.')

    const ranked = await open().rank('acme', windows.records, 'When does the ferry leave the quay?', 8, signal)

    expect(ranked.map(({ window, passage }) => ({ window, passage }))).toEqual([
      { window: 'harbor', passage: { text: 'The ferry leaves the quay at seven.', message: 1 } },
      {
        window: 'mill',
        passage: { text: 'The mill grinds in the evening. The ferry does not stop there.', message: 0 },
      },
    ])
    expect(ranked[0]?.score).toBeGreaterThan(ranked[1]?.score ?? 0)
  })

  it('returns as many as are wanted, and equal ones in the given order', async () => {
    for (const name of ['c', 'a', 'b']) windows.add(name, 'The ferry leaves.')

    const ranked = await open().rank('acme', windows.records, 'ferry', 2, signal)

    expect(ranked.map(({ window }) => window)).toEqual(['c', 'a'])
  })

  it('ranks only the given windows, whatever else was indexed', async () => {
    const index = open()
    const near = windows.add('near', 'The ferry, the ferry, the ferry.')
    const far = windows.add('far', 'A ferry.')
    await index.rank('acme', [near, far], 'ferry', 8, signal)

    expect((await index.rank('acme', [far], 'ferry', 8, signal)).map(({ window }) => window)).toEqual(['far'])
  })

  it('leaves out windows of other tenants, and those that are not frozen', async () => {
    windows.add('theirs', 'The ferry.', { tenant: 'other' })
    windows.add('failed', 'The ferry.', { state: 'failed' })

    expect(await open().rank('acme', windows.records, 'ferry', 8, signal)).toEqual([])
    expect(windows.reads).toEqual([])
  })

  it('finds nothing for a question without words', async () => {
    windows.add('harbor', 'The ferry.')

    expect(await open().rank('acme', windows.records, '?!', 8, signal)).toEqual([])
  })

  it('finds words of languages without spaces', async () => {
    windows.add('tokyo', '今日は東京都の天気について話しましょう。明日は雨が降るそうです。')
    windows.add('osaka', '大阪の食べ物はとても美味しいです。たこ焼きが有名です。')
    windows.add('library', '图书馆每天早上九点开门，晚上八点关门。')
    windows.add('station', '火车站在城市的北边，离这里很远。')
    windows.add('school', '학교는 아침 여덟 시에 시작합니다.')
    const index = open()
    const first = async (question: string) =>
      (await index.rank('acme', windows.records, question, 1, signal))[0]?.window

    expect(await first('東京の天気はどうですか')).toBe('tokyo')
    expect(await first('有名な食べ物は何ですか')).toBe('osaka')
    expect(await first('图书馆几点关门？')).toBe('library')
    expect(await first('火车站离这里远吗？')).toBe('station')
    expect(await first('학교에서 몇 시에 시작하나요?')).toBe('school')
  })

  it('quotes the passage of a window that fits an answer', async () => {
    const harbor = windows.add(
      'harbor',
      `${filler('the mill', 4_000)}\n\nThe ferry leaves at seven.\n\n${filler('bread', 4_000)}`,
    )
    const index = open()

    const passage = await index.passageOf('acme', harbor, 'It leaves at seven, by ferry.', signal)

    expect(passage?.text).toContain('The ferry leaves at seven.')
    expect(passage?.text.length).toBeLessThanOrEqual(1_200)
    expect(await index.passageOf('acme', harbor, 'zeppelin', signal)).toBeNull()
  })
})

describe('deleted windows', () => {
  it('drops the text of a deleted window at once', async () => {
    const metrics = createMetrics()
    const index = open({ metrics })
    const harbor = windows.add('harbor', 'The ferry.')
    await index.rank('acme', [harbor], 'ferry', 8, signal)
    expect(await gauges(metrics)).toMatchObject({ windows: 1 })

    windows.remove(harbor)
    index.forget('acme', 'harbor')

    expect(await gauges(metrics)).toEqual({ bytes: 0, windows: 0 })
    expect(await index.rank('acme', [harbor], 'ferry', 8, signal)).toEqual([])
    expect(await index.passageOf('acme', harbor, 'ferry', signal)).toBeNull()
  })

  it('does not index a window that is deleted while it is read', async () => {
    const metrics = createMetrics()
    const index = open({ metrics })
    const harbor = windows.add('harbor', 'The ferry.')
    let go = () => {}
    windows.gate = new Promise((resolve) => {
      go = resolve
    })

    const ranked = index.rank('acme', [harbor], 'ferry', 8, signal)
    index.forget('acme', 'harbor')
    go()

    expect(await ranked).toEqual([])
    expect(await gauges(metrics)).toEqual({ bytes: 0, windows: 0 })
  })

  it('does not index a deleted window whose text is held for its sessions', async () => {
    const harbor = windows.add('harbor', 'The ferry.')
    windows.records.length = 0

    expect(await open().rank('acme', [harbor], 'ferry', 8, signal)).toEqual([])
  })

  it('reads a window anew that has the name of a deleted one', async () => {
    const index = open()
    const before = windows.add('harbor', 'The ferry.')
    await index.rank('acme', [before], 'ferry', 8, signal)
    windows.remove(before)
    const after = windows.add('harbor', 'The mill.', { id: 'another' })

    expect(await index.rank('acme', [after], 'ferry', 8, signal)).toEqual([])
    expect(await index.rank('acme', [after], 'mill', 8, signal)).toHaveLength(1)
  })
})

describe('bounds', () => {
  it('reads a window once for questions at the same time, and for those after', async () => {
    const harbor = windows.add('harbor', filler('the ferry', 200_000))
    const index = open()

    const found = await Promise.all([1, 2, 3].map(() => index.rank('acme', [harbor], 'ferry', 8, signal)))
    await index.passageOf('acme', harbor, 'ferry', signal)

    expect(found.map(({ length }) => length)).toEqual([1, 1, 1])
    expect(windows.reads).toEqual(['id of harbor'])
  })

  it('says so if the windows do not fit, and quotes nothing then', async () => {
    const index = open({ maxBytes: 64 * 1024 })
    const large = windows.add('large', filler('the ferry', 400_000))

    await expect(index.rank('acme', [large], 'ferry', 8, signal)).rejects.toMatchObject({
      code: 'PASSAGES_TOO_LARGE',
      message: expect.stringContaining('passage_index_bytes'),
    })
    expect(await index.passageOf('acme', large, 'ferry', signal)).toBeNull()
  })

  it('says so if each window fits, but not all of them', async () => {
    const metrics = createMetrics()
    const index = open({ metrics, maxBytes: 300_000 })
    for (let n = 0; n < 20; n++) windows.add(`w${n}`, filler('the ferry', 20_000))

    await expect(index.rank('acme', windows.records, 'ferry', 8, signal)).rejects.toMatchObject({
      code: 'PASSAGES_TOO_LARGE',
    })
    expect((await gauges(metrics)).bytes).toBeLessThanOrEqual(300_000)
    expect(windows.reads.length).toBeLessThan(20)
    expect(await index.rank('acme', windows.records.slice(0, 2), 'ferry', 8, signal)).toHaveLength(2)
  })

  it('keeps the share of a tenant while another indexes more than fits', async () => {
    const index = open({ maxBytes: 400_000 })
    const small = windows.add('small', filler('the ferry', 20_000), { tenant: 'small' })
    await index.rank('small', [small], 'ferry', 8, signal)
    for (let n = 0; n < 20; n++) {
      const record = windows.add(`w${n}`, filler('the ferry', 20_000), { tenant: 'large' })
      await index.rank('large', [record], 'ferry', 8, signal)
    }

    await index.rank('small', [small], 'ferry', 8, signal)

    expect(windows.reads.filter((id) => id === 'id of small')).toHaveLength(1)
  })

  it('can be switched off', async () => {
    const index = open({ maxBytes: 0 })
    const harbor = windows.add('harbor', 'The ferry.')

    await expect(index.rank('acme', [harbor], 'ferry', 8, signal)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: expect.stringContaining('passage_index_bytes'),
    })
    expect(await index.passageOf('acme', harbor, 'ferry', signal)).toBeNull()
  })
})

describe('clients that leave, and failures', () => {
  it('stops waiting on abort, with the reason if it is an error of cwm', async () => {
    const harbor = windows.add('harbor', 'The ferry.')
    windows.gate = new Promise(() => {})
    const gone = new AbortController()
    const late = new AbortController()
    const index = open()

    const left = index.rank('acme', [harbor], 'ferry', 8, gone.signal)
    const timedOut = index.passageOf('acme', harbor, 'ferry', late.signal)
    gone.abort()
    late.abort(new CwmError('UPSTREAM_TIMEOUT', 'too late'))

    await expect(left).rejects.toMatchObject({ code: 'CLIENT_GONE' })
    await expect(timedOut).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
    expect(windows.reads).toEqual(['id of harbor'])
  })

  it('starts again and reads the windows again if the thread fails', async () => {
    const libsql = failingLibsql(1)
    try {
      const index = open({ libsql: libsql.path })
      const first = windows.add('first', 'The ferry.')
      await index.rank('acme', [first], 'ferry', 8, signal)
      const second = windows.add('second', 'The ferry, at the end.')

      const ranked = await index.rank('acme', [first, second], 'ferry', 8, signal)

      expect(ranked).toHaveLength(2)
      expect(windows.reads).toEqual(['id of first', 'id of second', 'id of first', 'id of second'])
    } finally {
      libsql.remove()
    }
  })

  it('gives up if it fails again', async () => {
    const libsql = failingLibsql(10)
    try {
      const index = open({ libsql: libsql.path })
      const window = windows.add('window', 'At the end.')

      await expect(index.rank('acme', [window], 'end', 8, signal)).rejects.toMatchObject({ code: 'BUSY' })
      expect(windows.reads).toHaveLength(2)
    } finally {
      libsql.remove()
    }
  })

  it('throws what the store throws, and reads again next time', async () => {
    const harbor = windows.add('harbor', 'The ferry.')
    const index = open()
    windows.gate = Promise.reject(new CwmError('STORE_UNAVAILABLE', 'away'))

    await expect(index.rank('acme', [harbor], 'ferry', 8, signal)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    windows.gate = Promise.resolve()

    expect(await index.rank('acme', [harbor], 'ferry', 8, signal)).toHaveLength(1)
  })
})
