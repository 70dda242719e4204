// The tokenizer is rarely asked, and a measured turn is never dispatched over the limit.

import { describe, expect, it } from 'vitest'
import { prose } from '../../test/support/conversation.ts'
import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import { createMetrics } from '../base/metrics.ts'
import type { NearLimit, overflowPolicies } from '../base/tenants.ts'
import { chatRules } from '../dialects/chat.ts'
import { chainOf } from '../identity/chain.ts'
import { UNSCALED } from '../limits/typical.ts'
import { upperTokens } from '../limits/upper-bound.ts'
import { renderChat } from '../sim/template.ts'
import { encodeText } from '../sim/tokenizer.ts'
import { BlockScales } from './block-scales.ts'
import { KnownSizes } from './known-sizes.ts'
import { outgoingOf } from './outgoing.ts'
import { type FitRequest, fitTurn, type OverflowParts } from './overflow.ts'

const nearLimit: NearLimit = {
  overflow: 'reject',
  freezeAt: 0,
  rolloverTo: 0.5,
  keepFirst: 0,
  rolloverNote: false,
  maxAutoPerSession: 8,
  maxAutoWindows: 1000,
}

const lengths = new WeakMap<object, number>()
/** Tokens of one message. The template separates messages by markers, so their sum is exact. */
function tokensOf(message: JsonObject): number {
  const known = lengths.get(message)
  if (known !== undefined) return known
  const { length } = renderChat([message], { addGenerationPrompt: false, images: false, model: 'm' })
  lengths.set(message, length)
  return length
}

const exact = (messages: readonly JsonValue[]) =>
  messages.reduce<number>((sum, message) => sum + tokensOf(message as JsonObject), 3)

interface Seen {
  readonly tokenized: number
  readonly turns: number
  readonly refused: number
}

/** A chat with turns of about 1 KB, each answered with `replyBytes`, that runs well past the limit. */
async function drive(
  policy: (typeof overflowPolicies)[number],
  limit: number,
  turns: number,
  replyBytes: number,
): Promise<Seen> {
  let tokenized = 0
  let refused = 0
  const sizes = new KnownSizes(1024 * 1024)
  const engine: FitRequest['engine'] = {
    countTokens: ({ messages }) => {
      tokenized++
      return Promise.resolve(exact(messages))
    },
    countText: (_model, text) => Promise.resolve(encodeText(String(text)).length),
  }
  const parts: OverflowParts = {
    scales: { of: () => Promise.resolve(UNSCALED) },
    blocks: new BlockScales(Date.now),
    sizes,
    metrics: createMetrics(),
  }
  const history: JsonObject[] = [{ role: 'system', content: 'You keep the harbour.' }]
  for (let turn = 0; turn < turns; turn++) {
    history.push({ role: 'user', content: `${turn}: ${prose(300)}`.slice(0, 1024) })
    const json = { model: 'm', messages: [...history] }
    const outgoing = outgoingOf(json, chatRules, undefined, undefined)
    const chain = chainOf('scope', json.messages, (message) => chatRules.canonical(message))
    const asked = {
      policy,
      nearLimit,
      rules: chatRules,
      json,
      outgoing,
      engine,
      limit,
      chain,
      windowTokens: 0,
      window: undefined,
      call: { apiKey: undefined },
    }
    try {
      const { shape, cut } = await fitTurn(parts, asked)
      const sent = cut === undefined ? json.messages : cut.keep.map((i) => json.messages[i] as JsonObject)
      const promptTokens = exact(sent)
      expect(promptTokens).toBeLessThanOrEqual(limit - Math.min(1024, limit / 8))
      const reply = { role: 'assistant', content: `${turn} ${prose(300, 'reply')}`.slice(0, replyBytes) }
      const boundary = chain.boundary([reply])?.digest
      if (boundary !== undefined && shape !== undefined) {
        sizes.record([boundary], { tokens: promptTokens + upperTokens({ messages: [reply], shaping: {} }), shape })
      }
      history.push(reply)
    } catch (thrown) {
      if (!(thrown instanceof CwmError) || thrown.code !== 'CONTEXT_LENGTH_EXCEEDED') throw thrown
      refused++
      history.pop()
    }
  }
  return { tokenized, turns, refused }
}

describe('with a limit of 128k and turns of 1 KB', () => {
  it('the tokenizer is asked in under 10% of turns until the context is full', async () => {
    const { tokenized, turns, refused } = await drive('reject', 131_072, 220, 1024)

    expect(refused).toBeGreaterThan(0)
    expect((tokenized - refused) / (turns - refused)).toBeLessThan(0.1)
  })

  it('the tokenizer is asked in under 10% of turns over several cuts', async () => {
    const { tokenized, turns, refused } = await drive('rollover', 131_072, 350, 2048)

    expect(refused).toBe(0)
    expect(tokenized).toBeGreaterThan(0)
    expect(tokenized / turns).toBeLessThan(0.1)
  }, 60_000)
})
