// The exact ids that every next prompt of a conversation begins with, whatever the template strips from its last messages
// (docs/engine-behavior.md#next-turn-prefix).

import { CwmError } from '../base/errors.ts'
import type { JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { asText, firstMediaAt } from '../dialects/media.ts'
import type { CallOptions, Engine } from '../engines/engine.ts'
import type { TurnPrompt } from './parts.ts'

/** Two user turns that share no first character, so that what their prompts share is not of the probes' making. */
const PROBES = ['0', 'What?'] as const

export interface FrozenIds {
  /** Empty when they could not be had. */
  readonly ids: Uint32Array
  /** They cover every message of the window. */
  readonly whole?: true
  /** What the ids leave out: a fault, … */
  readonly warning?: string
  /** … or by the nature of the conversation. */
  readonly note?: string
  /** What the engine said to the prompt itself: it can serve none that begins with it. */
  readonly refusal?: string
}

/**
 * Renders the conversation with two different next turns and takes the common prefix; where it holds a picture or the like, up to the
 * message that holds the first one, and where it ends in messages that are text only, up to these. Where the engine told the size of the
 * last prompt, that prompt is rendered as well: if the sizes differ, the endpoint does not express everything that shapes this prompt, and
 * no ids are better than wrong ones.
 */
export async function findFrozenIds(
  engine: Engine,
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
  const render = (probe: string) => engine.promptIds({ ...prompt, messages: [...known, ...next(probe)] }, options)
  let first: Uint32Array | undefined
  let second: Uint32Array | undefined
  try {
    first = await render(PROBES[0])
    second = await render(PROBES[1])
  } catch (thrown) {
    if (!(thrown instanceof CwmError) || thrown.code !== 'UPSTREAM_REJECTED') throw thrown
    if (media === -1) return await withoutProbes(engine, turn, thrown, options)
    return { ids: new Uint32Array(), warning: `the engine refused the text before the first image (${thrown.message})` }
  }
  if (first === undefined || second === undefined) {
    return {
      ids: new Uint32Array(),
      warning: 'the engine has no endpoint that gives the ids of this prompt (see --enable-scale-out)',
    }
  }
  const ids = first.slice(0, commonPrefix(first, second))
  if (media !== -1) {
    return {
      ids,
      note: `message ${media + 1} holds an image or other media: frozen up to it, computed from there on`,
    }
  }
  if (promptTokens !== undefined && replyAt > 0) {
    const turnIds = await engine.promptIds({ ...prompt, messages: prompt.messages.slice(0, replyAt) }, options)
    if (turnIds !== undefined && turnIds.length !== promptTokens) {
      return {
        ids: new Uint32Array(),
        warning: `the rendered prompt has ${turnIds.length} tokens where the engine counted ${promptTokens}: something shapes it that the endpoint does not express`,
      }
    }
  }
  return text.note === undefined ? { ids, whole: true } : { ids, ...text }
}

function textRemark(messages: number, textFrom: number): { warning?: string; note?: string } {
  if (textFrom === messages) return {}
  if (textFrom === 0) return { warning: 'the last turn was not at hand: only its text is kept' }
  return { note: `messages ${textFrom + 1} to ${messages} were not answered yet: only their text is kept` }
}

/**
 * A conversation that fills its context leaves no room for a probe turn, and is the one that most wants to be frozen: the ids of its last
 * turn's own prompt stand for it, without the last reply.
 */
async function withoutProbes(
  engine: Engine,
  { prompt, replyAt, promptTokens }: TurnPrompt,
  refused: CwmError,
  options: CallOptions,
): Promise<FrozenIds> {
  const why = `the engine refused a further turn (${refused.message})`
  try {
    const ids = await engine.promptIds({ ...prompt, messages: prompt.messages.slice(0, replyAt) }, options)
    if (ids !== undefined && (promptTokens === undefined || ids.length === promptTokens)) {
      return { ids, note: `${why}: frozen up to the last reply` }
    }
  } catch (thrown) {
    if (!(thrown instanceof CwmError) || thrown.code !== 'UPSTREAM_REJECTED') throw thrown
  }
  return { ids: new Uint32Array(), warning: `${why}: only the text is kept`, refusal: refused.told }
}

/** The ids that the engine can prefill: it wants room for one token behind them. All of them where the limit is not known. */
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
