// Where turns are cut for an engine of known token density. Cuts are never undone, ignore what stands beside the messages, and survive failures.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../base/json.ts'
import { createMetrics } from '../base/metrics.ts'
import type { Prompt } from '../base/records.ts'
import type { NearLimit } from '../base/tenants.ts'
import { chatRules } from '../dialects/chat.ts'
import { rejectionOf } from '../engines/json.ts'
import { typicalTokens, UNSCALED } from '../limits/typical.ts'
import { typicalTokensOfShaping } from '../limits/typical-messages.ts'
import { BlockScales } from './block-scales.ts'
import { KnownSizes } from './known-sizes.ts'
import { outgoingOf } from './outgoing.ts'
import { type FitRequest, type Fitted, fitTurn, type OverflowParts } from './overflow.ts'

const LIMIT = 4096
/** Tokens that the template writes around a message. */
const AROUND = 5
const nearLimit: NearLimit = {
  overflow: 'rollover',
  freezeAt: 0,
  rolloverTo: 0.5,
  keepFirst: 0,
  rolloverNote: false,
  maxAutoPerSession: 8,
  maxAutoWindows: 1000,
}

interface EngineHabits {
  /** The status that the next call fails with. */
  readonly fail?: () => number | undefined
  /** Tokens that the template writes first. */
  readonly preamble?: number
}

/** Fits turns for an engine that produces `density` tokens per estimated token of message text; tools count as estimated. */
class Fitter {
  readonly asked: string[] = []
  readonly #engine: FitRequest['engine']
  readonly #parts: OverflowParts

  constructor(density: number, { fail = () => undefined, preamble = 0 }: EngineHabits = {}) {
    const tokensOf = (text: string) => Math.ceil(density * typicalTokens(text))
    const sizeOf = ({ messages, shaping }: Pick<Prompt, 'messages' | 'shaping'>) =>
      messages.reduce<number>((sum, message) => sum + AROUND + tokensOf((message as { content: string }).content), 0) +
      typicalTokensOfShaping(shaping) +
      preamble
    const call = (asked: string, tokens: () => number) => {
      const status = fail()
      if (status !== undefined) return Promise.reject(rejectionOf('/tokenize', { status, body: {} }))
      this.asked.push(asked)
      return Promise.resolve(tokens())
    }
    this.#engine = {
      countTokens: (prompt) => call(JSON.stringify(prompt.messages), () => sizeOf(prompt)),
      countText: (_model, text) => call(text, () => tokensOf(text)),
    }
    this.#parts = {
      scales: { of: () => Promise.resolve(UNSCALED) },
      blocks: new BlockScales(Date.now),
      sizes: new KnownSizes(1024),
      metrics: createMetrics(),
    }
  }

  turn(messages: readonly JsonValue[], tools?: JsonValue): Promise<Fitted> {
    const json: JsonObject = { model: 'm', messages, ...(tools === undefined ? {} : { tools }) }
    return fitTurn(this.#parts, {
      policy: 'rollover',
      nearLimit,
      rules: chatRules,
      json,
      outgoing: outgoingOf(json, chatRules, undefined, undefined),
      engine: this.#engine,
      limit: LIMIT,
      chain: undefined,
      windowTokens: 0,
      window: undefined,
      call: { apiKey: undefined },
    })
  }
}

/** Words long enough for three times their estimate: no tokenizer produces more tokens than bytes. */
const stock = ['wandering', 'fishermen', 'lighthouse', 'seventeen', 'unloading', 'carefully', 'harvested', 'mountains']
const words = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => stock[(seed * 7 + i * 3) % stock.length]).join(' ')

/** Questions of the given sizes, each with an answer except the last. */
function chatOf(sizes: readonly number[]): JsonValue[] {
  return sizes
    .flatMap((size, i) => [
      { role: 'user', content: `${i} ${words(size, i)}` },
      { role: 'assistant', content: words(20, i) },
    ])
    .slice(0, -1)
}

const toolsOf = (size: number): JsonValue => [
  { type: 'function', function: { name: 'look', description: words(size, 1), parameters: {} } },
]

describe('a cut', () => {
  it('is never undone by the next turn, for any token density and with large tools', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0.6, max: 3, noNaN: true }),
        fc.integer({ min: 0, max: 900 }),
        fc.array(fc.integer({ min: 5, max: 120 }), { minLength: 20, maxLength: 40 }),
        async (density, tools, sizes) => {
          const fitter = new Fitter(density)
          let cutAway = 0
          for (let turns = 1; turns <= sizes.length; turns++) {
            const { cut } = await fitter.turn(chatOf(sizes.slice(0, turns)), toolsOf(tools))
            const dropped = cut?.dropped.length ?? 0
            expect(dropped).toBeGreaterThanOrEqual(cutAway)
            cutAway = dropped
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is the same after a tokenizer failure, which fails its turn, as without one', async () => {
    const history = chatOf(Array.from({ length: 40 }, () => 60))
    const sound = await new Fitter(1.6).turn(history)
    expect(sound.cut?.dropped.length).toBeGreaterThan(10)

    for (let failing = 0; failing < 6; failing++) {
      let calls = 0
      const shaken = new Fitter(1.6, { fail: () => (calls++ === failing ? 503 : undefined) })
      const first = await shaken.turn(history).catch((thrown: unknown) => thrown)

      expect(first).toMatchObject(calls > failing ? { code: 'UPSTREAM_REJECTED' } : { cut: sound.cut })
      expect((await shaken.turn(history)).cut).toEqual(sound.cut)
    }
  })

  it('never counts a prompt twice if a larger estimate does not cut more', async () => {
    const fitter = new Fitter(1, { preamble: 3200 })
    const history = chatOf([20, 20, 20, 300])

    await expect(fitter.turn(history)).rejects.toMatchObject({ code: 'CONTEXT_LENGTH_EXCEEDED' })

    expect(fitter.asked.length).toBeGreaterThan(1)
    expect(new Set(fitter.asked).size).toBe(fitter.asked.length)
  })
})
