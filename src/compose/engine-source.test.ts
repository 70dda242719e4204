import { describe, expect, it } from 'vitest'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { settingsSchema } from '../config/schema.ts'
import type { EngineSpec } from '../engines/engine-spec.ts'
import { EngineSource, firstEngines } from './engine-source.ts'
import { LiveSettings } from './live-settings.ts'

const settingsOf = (upstream: unknown) => settingsSchema.parse({ upstream })

/** A source whose name has the addresses that the test gives it; none: the look-up fails. */
function aSource(upstream: unknown) {
  const dns: { answer: (() => Promise<readonly string[]>) | undefined } = { answer: undefined }
  const taken: string[][] = []
  const refuse = { next: false }
  const live = new LiveSettings(settingsOf(upstream))
  const source = new EngineSource({
    live,
    resolver: {
      addresses: async () => {
        if (dns.answer === undefined) throw new Error('no such name')
        return (await dns.answer()).map((address) => ({ address, family: 4 }))
      },
      services: async () => [],
    },
    update: (engines: readonly EngineSpec[]) => {
      const refused = refuse.next
      refuse.next = false
      if (refused) throw new Error('not an address')
      taken.push(engines.map(({ url }) => url))
    },
    metrics: createMetrics(),
    log: silentLogger,
  })
  return { source, live, taken, dns, refuse }
}

describe('the engines of a name in DNS', () => {
  it('are the name itself until it was looked up', () => {
    expect(firstEngines('dns+http://vllm:8000/x')).toEqual([{ url: 'http://vllm:8000/x', weight: 1 }])
    expect(firstEngines('dns+http://_vllm._tcp.fleet')).toEqual([{ url: 'http://_vllm._tcp.fleet', weight: 1 }])
  })

  it('follow each look-up that shows others, and survive those that fail', async () => {
    const { source, taken, dns } = aSource('dns+http://vllm:8000')
    dns.answer = async () => ['10.0.0.1', '10.0.0.2']
    await source.refresh()
    await source.refresh()
    dns.answer = undefined
    await source.refresh()
    dns.answer = async () => ['10.0.0.2', '10.0.0.3']
    await source.refresh()

    expect(taken).toEqual([
      ['http://10.0.0.1:8000', 'http://10.0.0.2:8000'],
      ['http://10.0.0.2:8000', 'http://10.0.0.3:8000'],
    ])
  })

  it('are tried again with the next look-up if the fleet refused them', async () => {
    const { source, taken, dns, refuse } = aSource('dns+http://vllm:8000')
    dns.answer = async () => ['10.0.0.1']
    refuse.next = true
    await source.refresh()
    await source.refresh()

    expect(taken).toEqual([['http://10.0.0.1:8000']])
  })

  it('do not replace a list that a reload brought during the look-up', async () => {
    const { source, live, taken, dns } = aSource('dns+http://vllm:8000')
    let found = (_: readonly string[]) => {}
    dns.answer = () => new Promise((resolve) => (found = resolve))
    const looking = source.refresh()
    live.replace(settingsOf(['http://a']))
    found(['10.0.0.1'])
    await looking

    expect(taken).toEqual([['http://a']])
  })
})

describe('the engines of a list', () => {
  it('change with a reload that changes them, and are never looked up', async () => {
    const { source, live, taken } = aSource('http://a,http://b')
    await source.refresh()
    live.replace({ ...settingsOf('http://a,http://b'), queue_ms: 1 })
    live.replace(settingsOf('http://b,http://c'))

    expect(taken).toEqual([['http://b', 'http://c']])
  })
})
