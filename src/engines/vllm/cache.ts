// The size of vLLM's KV cache, from the labels of its metric `vllm:cache_config_info`.

import type { Now } from '../../base/clock.ts'
import { SingleSlot } from '../../base/single-flight.ts'
import type { CallOptions } from '../engine.ts'
import { callText, type Sender } from '../json.ts'

const FRESH_MS = 60_000
const DEADLINE_MS = 2_000
const LINE = /^vllm:cache_config_info\{([^}]*)\}/gm

export class VllmCache {
  readonly #upstream: Sender
  readonly #now: Now
  readonly #reading = new SingleSlot<void>()
  #tokens: number | undefined
  #freshUntil = Number.NEGATIVE_INFINITY

  constructor(upstream: Sender, now: Now) {
    this.#upstream = upstream
    this.#now = now
  }

  /** Undefined if the engine does not show it. Never throws. One reading serves all callers, so no caller's departure ends it. */
  async tokens({ apiKey, headers }: CallOptions): Promise<number | undefined> {
    if (this.#freshUntil <= this.#now()) await this.#reading.run(() => this.#read(apiKey, headers))
    return this.#tokens
  }

  async #read(apiKey: string | undefined, headers: readonly string[] = []): Promise<void> {
    const call = { method: 'GET', path: '/metrics', apiKey, headers, deadlineMs: DEADLINE_MS } as const
    const { status, text } = await callText(this.#upstream, call, 'text/plain').catch(() => ({ status: 0, text: '' }))
    this.#tokens = status === 200 ? cacheTokensIn(text) : undefined
    this.#freshUntil = this.#now() + FRESH_MS
  }
}

/**
 * The sum over the engine cores (data parallelism has several): docs/engine-behavior.md#cache-size. Undefined if a core does not show it, as
 * before its cache is allocated.
 */
export function cacheTokensIn(metrics: string): number | undefined {
  let sum: number | undefined
  for (const [, labels = ''] of metrics.matchAll(LINE)) {
    const read = (name: string) => Number(new RegExp(`(?:^|,)${name}="([0-9.]{1,20})"`).exec(labels)?.[1] ?? Number.NaN)
    const shown = read('kv_cache_size_tokens')
    const tokens = shown > 0 ? shown : read('num_gpu_blocks') * read('block_size')
    if (!(tokens > 0)) return undefined
    sum = (sum ?? 0) + tokens
  }
  return sum
}
