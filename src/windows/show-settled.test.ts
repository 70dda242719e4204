import { expect, it } from 'vitest'
import type { WindowRecord } from '../base/records.ts'
import type { WindowParts } from './parts.ts'
import { Windows } from './windows.ts'

const content = {
  sessionId: undefined,
  lineage: 'lineage',
  shared: undefined,
  parent: undefined,
  clientSalt: undefined,
  prompt: { dialect: 'chat', model: 'm', messages: [], shaping: {} },
  replyAt: 0,
  promptTokens: undefined,
} as const

/** A store that shows the end of a freeze to readers before the freeze itself hears of it. `ended` resolves when it shows it. */
function slowStore() {
  let record: WindowRecord | undefined
  let goOn: () => void = () => {}
  let tell: () => void = () => {}
  const ended = new Promise<void>((resolve) => {
    tell = resolve
  })
  const store = {
    maxStalenessMs: Number.POSITIVE_INFINITY,
    acquireLease: async () => true,
    releaseLease: async () => {},
    usageOf: async () => ({ windows: 0 }),
    getWindow: async () => record,
    reserveWindow: async (given: WindowRecord) => {
      record = given
      return 'stored'
    },
    changeWindow: (_tenant: string, _name: string, _id: string, change: Partial<WindowRecord>) => {
      record = { ...(record as WindowRecord), ...change }
      tell()
      return new Promise<void>((resolve) => {
        goOn = resolve
      })
    },
  }
  return { store, ended, goOn: () => goOn() }
}

// Found by random lives: a delete right after a freeze was rejected with "still being frozen" instead of waiting a moment.
it('a window is settled once its freeze has ended, not when the store shows its result', async () => {
  const { store, ended, goOn } = slowStore()
  const ignore = () => {}
  const parts = {
    store,
    policyOf: () => ({}),
    now: () => 1,
    kvEpoch: 0,
    log: { info: ignore, warn: ignore, error: ignore },
    metrics: { freezes: { inc: ignore }, freezeSeconds: { observe: ignore } },
    audit: { record: ignore },
    events: { emit: ignore },
    kv: { expects: {} },
    maxBaseBytes: 1024,
  }
  const windows = new Windows(parts as unknown as WindowParts, { bind: async () => 'saved' } as never)
  const frozen = windows.create({ tenant: 't', name: 'w', origin: 'content' }, async () => content, {
    actor: 'test',
  } as never)
  await ended

  const order: string[] = []
  const shown = windows.showSettled('t', 'w', 20_000).then((view) => {
    order.push(`shown: ${view.state}`)
    return view as WindowRecord
  })
  await new Promise((resolve) => setImmediate(resolve))
  order.push('the freeze ends')
  goOn()
  await frozen

  expect(windows.isBusy((await shown).id)).toBe(false)
  expect(order).toEqual(['the freeze ends', 'shown: failed'])
})
