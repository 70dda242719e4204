// The model's work: how much of a prompt is cached, how long the rest takes, and which tokens are produced. Knows no HTTP.

import type { KvStore } from './kv-store.ts'
import type { SimSettings } from './options.ts'
import { type CacheSpace, PrefixCache } from './prefix-cache.ts'
import { callText } from './template.ts'
import { encodeText, IM_END, textPieces } from './tokenizer.ts'
import { wait } from './wait.ts'

export interface ToolCall {
  readonly name: string
  /** As JSON text. */
  readonly arguments: string
}

/** The reply that the model would give without limits. */
export interface Reply {
  readonly reasoning?: string
  readonly content?: string
  readonly toolCalls?: readonly ToolCall[]
}

export type Delta =
  | { readonly kind: 'reasoning' | 'content'; readonly text: string }
  | { readonly kind: 'call'; readonly index: number; readonly name: string }
  | { readonly kind: 'arguments'; readonly index: number; readonly text: string }

/** Tokens of the answer with the deltas that a client sees for them; markers have none. */
export interface Step {
  readonly ids: readonly number[]
  readonly deltas: readonly Delta[]
}

export interface Limits {
  readonly maxTokens: number
  readonly ignoreEos: boolean
  readonly stop: readonly string[]
}

/** An answer after its limits were applied. `ended`: by an end token, by a stop string, or by the token limit. */
export interface Generation {
  readonly steps: readonly Step[]
  readonly ids: readonly number[]
  readonly ended: 'eos' | 'stop' | 'length'
  readonly stopReason: string | null
}

export interface Prefill {
  /** Tokens found in any cache: `cached_tokens`. */
  readonly cached: number
  /** Tokens newly added to the engine's cache: `created_cache_tokens`. */
  readonly created: number
}

/** One space for all salts. */
const ANY_SPACE: CacheSpace = { salt: '', adapter: '' }

export class Engine {
  readonly #settings: SimSettings
  readonly #cache: PrefixCache
  /** The in-process connector's cache, whose keys contain no salt. */
  readonly #inProcess: PrefixCache
  /** The store of the LMCache server that the engine is attached to. */
  store: KvStore
  /** Requests in progress, as `/load` reports. */
  running = 0

  constructor(settings: SimSettings, cache: PrefixCache, store: KvStore) {
    this.#settings = settings
    this.#cache = cache
    this.#inProcess = new PrefixCache(settings.chunkSize, settings.cacheBlocks)
    this.store = store
  }

  /** Of all prompts so far. Answers of pooling models do not say it of theirs. */
  cachedTokens = 0
  /** Of all prompts so far, cached or not. */
  promptTokens = 0

  /** Reads the prompt. Waits for the time that its uncached part takes, or until the client disconnects. */
  async prefill(ids: readonly number[], space: CacheSpace, signal: AbortSignal): Promise<Prefill> {
    const { blockSize, prefillTokensPerSecond, loadTokensPerSecond, root, worldSize } = this.#settings
    const { prefixCaching, connector } = this.#settings
    const local = prefixCaching ? this.#cache.match(ids, space) : 0
    const sequence = { token_ids: ids, model_name: root, world_size: worldSize, cache_salt: space.salt }
    const restored = connector === 'multiprocess' ? this.store.restore(sequence) : this.#inProcess.match(ids, ANY_SPACE)
    // A fully restored prompt recomputes its last token: docs/engine-behavior.md#last-token.
    const external = restored === ids.length ? restored - 1 : restored
    const cached = Math.max(local, external)
    this.cachedTokens += cached
    this.promptTokens += ids.length
    const seconds = (ids.length - cached) / prefillTokensPerSecond + Math.max(0, cached - local) / loadTokensPerSecond
    await wait(seconds * 1000, signal)
    this.#cache.insert(ids, space)
    if (connector === 'multiprocess') this.store.store(sequence, restored)
    else if (connector === 'in-process') this.#inProcess.insert(ids, ANY_SPACE)
    return { cached, created: Math.max(0, Math.floor(ids.length / blockSize) * blockSize - cached) }
  }

  /** Waits for the time that the tokens take. */
  decode(tokens: number, signal: AbortSignal): Promise<void> {
    return wait((tokens / this.#settings.decodeTokensPerSecond) * 1000, signal)
  }

  /**
   * Caches the answer's blocks too, except its last token, which the model never read. LMCache stores prompts only
   * (docs/engine-behavior.md#prompts-only).
   */
  cacheAnswer(prompt: readonly number[], answer: readonly number[], space: CacheSpace): void {
    this.#cache.insert([...prompt, ...answer.slice(0, -1)], space)
  }
}

/** Splits a reply into tokens and cuts it at the limits. */
export function generate(reply: Reply, limits: Limits): Generation {
  const whole = stepsOf(reply)
  if (limits.ignoreEos)
    while (countOf(whole) < limits.maxTokens) whole.push(...textSteps('content', ` ${reply.content || 'and'}`))
  const steps: Step[] = []
  let ids = 0
  let text = ''
  for (const step of whole) {
    if (ids + step.ids.length > limits.maxTokens) {
      const rest = step.ids.slice(0, limits.maxTokens - ids)
      return finish(rest.length > 0 ? [...steps, { ids: rest, deltas: [] }] : steps, 'length', null)
    }
    const said = step.deltas.map((delta) => (delta.kind === 'content' ? delta.text : '')).join('')
    const hit = limits.stop.find((stop) => stop !== '' && (text + said).includes(stop))
    if (hit !== undefined) {
      const kept = (text + said).slice(text.length, Math.max(text.length, (text + said).indexOf(hit)))
      steps.push({ ids: step.ids, deltas: kept === '' ? [] : [{ kind: 'content', text: kept }] })
      return finish(steps, 'stop', hit)
    }
    text += said
    steps.push(step)
    ids += step.ids.length
  }
  if (limits.ignoreEos || ids + 1 > limits.maxTokens) return finish(steps, 'length', null)
  return finish([...steps, { ids: [IM_END], deltas: [] }], 'eos', null)
}

function finish(steps: readonly Step[], ended: Generation['ended'], stopReason: string | null): Generation {
  return { steps, ids: steps.flatMap((step) => step.ids), ended, stopReason }
}

const countOf = (steps: readonly Step[]): number => steps.reduce((sum, step) => sum + step.ids.length, 0)

function stepsOf(reply: Reply): Step[] {
  const steps: Step[] = []
  if (reply.reasoning) {
    steps.push(...hidden('<think>'), ...textSteps('reasoning', reply.reasoning), ...hidden('</think>'))
  }
  if (reply.content) steps.push(...textSteps('content', reply.content))
  for (const [index, call] of (reply.toolCalls ?? []).entries()) {
    const [head = '', tail = ''] = callText(call).split('"name": ', 2)
    steps.push(...hidden(`${head}"name": `), {
      ids: encodeText(tail),
      deltas: [{ kind: 'call', index, name: call.name }],
    })
    // The tokens of the arguments were part of the markup. Their text follows in a few pieces, as a parser emits it.
    for (const text of call.arguments.match(/[\s\S]{1,8}/g) ?? []) {
      steps.push({ ids: [], deltas: [{ kind: 'arguments', index, text }] })
    }
  }
  return steps
}

function textSteps(kind: 'reasoning' | 'content', text: string): Step[] {
  const ids = encodeText(text)
  const pieces = textPieces(ids)
  return ids.map((id, at) => ({ ids: [id], deltas: pieces[at] ? [{ kind, text: pieces[at] }] : [] }))
}

const hidden = (markup: string): Step[] => [{ ids: encodeText(markup), deltas: [] }]
