// Requests that several contract tests make.

import { eventually, field, list, type Reply, type Target } from './target.ts'

/** The deadline for directory changes. LMCache flushes its events once a second. */
export const DIRECTORY_MS = 10_000

/** The first `count` token ids of a text. */
export async function idsOf(target: Target, text: string, count: number): Promise<number[]> {
  const { json } = await target.call('engine', 'POST', '/tokenize', { model: target.model, prompt: text })
  const ids = list(field(json, 'tokens')).map(Number)
  if (ids.length < count) throw new Error(`the text has ${ids.length} tokens instead of ${count}`)
  return ids.slice(0, count)
}

/** The warm call: computes or restores a sequence. Returns `cached_tokens`. */
export async function warm(target: Target, prompt: readonly number[], salt: string): Promise<number> {
  const body = { model: target.model, prompt, max_tokens: 1, temperature: 0, cache_salt: salt }
  const { json } = await target.call('engine', 'POST', '/v1/completions', body)
  return Number(field(json, 'usage.prompt_tokens_details.cached_tokens'))
}

export interface Sequence {
  readonly token_ids: readonly number[]
  readonly model_name: string
  readonly world_size: number
  readonly cache_salt: string
}

export const sequence = (target: Target, ids: readonly number[], salt: string): Sequence => ({
  token_ids: ids,
  model_name: target.root,
  world_size: target.worldSize,
  cache_salt: salt,
})

/** The placements of each key of a sequence in the directory, as `tier backend`. */
export async function placements(target: Target, key: Sequence): Promise<string[][]> {
  const { json } = await target.call('coordinator', 'POST', '/directory/lookup', key)
  return list(field(json, 'results')).map((result) =>
    list(field(result, 'placements'))
      .map((placement) => `${String(field(placement, 'tier'))} ${String(field(placement, 'backend'))}`)
      .sort(),
  )
}

/** Waits until the directory shows `wanted` for every key. */
export function placed(target: Target, key: Sequence, wanted: readonly string[]): Promise<string[][]> {
  const sorted = JSON.stringify([...wanted].sort())
  const label = `the directory shows [${wanted.join(', ')}] for every key`
  return eventually(
    label,
    DIRECTORY_MS,
    () => placements(target, key),
    (all) => all.every((one) => JSON.stringify(one) === sorted),
  )
}

/** All tiers and backends that a stored chunk reaches. */
export const everywhere = (target: Target): string[] => ['l1 dram', ...target.adapters.map((name) => `l2 ${name}`)]

/** Submits a prefetch to the LMCache server and waits for its end. */
export async function prefetch(target: Target, key: Sequence): Promise<{ path: string; found: number; total: number }> {
  const submitted = await target.call('lmcache', 'POST', '/cache/prefetches', key)
  const path = `/cache/prefetches/${String(field(submitted.json, 'request_id'))}`
  const poll = (): Promise<Reply> => target.call('lmcache', 'GET', path)
  const done = await eventually(
    'the prefetch completes',
    10_000,
    poll,
    ({ json }) => field(json, 'status') !== 'pending',
  )
  return { path, found: Number(field(done.json, 'found_keys')), total: Number(field(done.json, 'total_keys')) }
}

/** The keys of a sequence, as in the directory. */
export async function keysOf(target: Target, key: Sequence): Promise<unknown[]> {
  const { json } = await target.call('coordinator', 'POST', '/directory/lookup', key)
  return list(field(json, 'results')).map((result) => field(result, 'key'))
}
