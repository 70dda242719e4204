// The exact ids that every later prompt of a conversation starts with, even if the template strips parts of its last messages
// (docs/engine-behavior.md#next-turn-prefix).

import { CwmError } from '../base/errors.ts'
import type { JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { asText, firstMediaAt } from '../dialects/media.ts'
import type { CallOptions, Engine } from '../engines/engine.ts'
import type { TurnPrompt } from './parts.ts'

/** Two user turns with different first characters, so that the common prefix contains nothing of the probes themselves. */
const PROBES = ['0', 'What?'] as const

export interface FrozenIds {
  /** Empty if they could not be obtained. */
  readonly ids: Uint32Array
  /** The ids cover every message of the window. */
  readonly whole?: true
  /** What the ids do not cover, because of a fault… */
  readonly warning?: string
  /** …or because of the conversation's content. */
  readonly note?: string
  /** The engine's rejection of the prompt itself. The engine cannot serve any prompt that starts with it. */
  readonly refusal?: string
}

/**
 * Renders the conversation with two different next turns and takes the common prefix. If it contains media, the ids end at the message with
 * the first one; if its last messages are kept as text only, the ids end before those. If the engine reported the size of the last prompt,
 * that prompt is rendered too: differing sizes mean that the endpoint does not express everything that shapes the prompt, and no ids are
 * better than wrong ones.
 */
export async function findFrozenIds(
  engine: Pick<Engine, 'tokenIds'>,
  rules: DialectRules,
  turn: TurnPrompt,
  options: CallOptions,
): Promise<FrozenIds> {
  const { prompt, replyAt, promptTokens, textFrom = prompt.messages.length } = turn
  const text = textRemark(prompt.messages.length, textFrom)
  if (textFrom === 0) return { ids: new Uint32Array(), ...text }
  const answered = prompt.messages.slice(0, textFrom)
  const media = firstMediaAt(answered)
  const known = media === -1 ? answered : answered.slice(0, media)
  const last = known.at(-1)
  const next = (probe: string): readonly JsonValue[] =>
    media === -1 ? rules.probe(probe, last) : [asText(prompt.messages[media], probe)]
  const render = (probe: string) => engine.tokenIds({ ...prompt, messages: [...known, ...next(probe)] }, options)
  let first: Uint32Array | undefined
  let second: Uint32Array | undefined
  try {
    first = await render(PROBES[0])
    second = await render(PROBES[1])
  } catch (thrown) {
    if (!(thrown instanceof CwmError) || thrown.code !== 'UPSTREAM_REJECTED') throw thrown
    if (media === -1) return await withoutProbes(engine, turn, thrown, options)
    return {
      ids: new Uint32Array(),
      warning: `the engine rejected the text before the first image (${thrown.message})`,
    }
  }
  if (first === undefined || second === undefined) {
    return {
      ids: new Uint32Array(),
      warning:
        'the engine has no endpoint that returns the token ids of this prompt (start it with --enable-scale-out)',
    }
  }
  const ids = first.slice(0, commonPrefix(first, second))
  if (media !== -1) {
    return {
      ids,
      note: `message ${media + 1} contains an image or other media: the ids end before it, and the rest is recomputed`,
    }
  }
  if (promptTokens !== undefined && replyAt > 0) {
    const turnIds = await engine.tokenIds({ ...prompt, messages: prompt.messages.slice(0, replyAt) }, options)
    if (turnIds !== undefined && turnIds.length !== promptTokens) {
      return {
        ids: new Uint32Array(),
        warning: `the rendered prompt has ${turnIds.length} tokens but the engine counted ${promptTokens}: the render endpoint does not reproduce this prompt`,
      }
    }
  }
  return text.note === undefined ? { ids, whole: true } : { ids, ...text }
}

function textRemark(messages: number, textFrom: number): { warning?: string; note?: string } {
  if (textFrom === messages) return {}
  if (textFrom === 0) return { warning: 'the last turn was not available: only its text is stored' }
  return { note: `messages ${textFrom + 1} to ${messages} had no answer yet: only their text is stored` }
}

/**
 * A conversation that fills its context has no room for a probe turn, and needs freezing most. The ids of its last turn's prompt are used
 * instead, without the last reply.
 */
async function withoutProbes(
  engine: Pick<Engine, 'tokenIds'>,
  { prompt, replyAt, promptTokens }: TurnPrompt,
  refused: CwmError,
  options: CallOptions,
): Promise<FrozenIds> {
  const why = `the engine rejected a further turn (${refused.message})`
  try {
    const ids = await engine.tokenIds({ ...prompt, messages: prompt.messages.slice(0, replyAt) }, options)
    if (ids !== undefined && (promptTokens === undefined || ids.length === promptTokens)) {
      return { ids, note: `${why}: frozen up to the last reply` }
    }
  } catch (thrown) {
    if (!(thrown instanceof CwmError) || thrown.code !== 'UPSTREAM_REJECTED') throw thrown
  }
  return { ids: new Uint32Array(), warning: `${why}: only the text is stored`, refusal: refused.clientMessage }
}

/** The ids that the engine can prefill: it needs room for one more token. Returns all of them if the limit is unknown. */
export function fitToLimit(ids: Uint32Array, limit: number | undefined): Uint32Array {
  return limit === undefined ? ids : ids.subarray(0, limit - 1)
}

/** Length of the common prefix of two sequences. */
export function commonPrefix(a: Uint32Array, b: Uint32Array): number {
  const length = Math.min(a.length, b.length)
  let same = 0
  while (same < length && a[same] === b[same]) same++
  return same
}
