// The real engine, LMCache server, and coordinator: their addresses, and how tests clear their caches or verify their content.

import { setTimeout as delay } from 'node:timers/promises'

export const engineUrl = process.env.CWM_ENGINE_URL ?? 'http://127.0.0.1:8000'
export const lmcacheUrl = process.env.CWM_LMCACHE_URL ?? 'http://127.0.0.1:8080'
export const coordinatorUrl = process.env.CWM_COORDINATOR_URL ?? 'http://127.0.0.1:9300'

/** LMCache's chunk in tokens; scripts/engine/up.sh leaves it at the default. */
export const CHUNK = 256

/** An address that refuses connections, because nothing listens on port 1. */
export const REFUSING = 'http://127.0.0.1:1'

/** The minimum that a thaw must restore: whole chunks, except the last one if it ends the prompt, which the engine computes itself. */
export const bound = (tokens: number): number => Math.floor(tokens / CHUNK) * CHUNK - CHUNK

/** Sends JSON and returns the parsed body (undefined for an empty one). Throws unless the status is 2xx. */
export async function ask(method: string, url: string, body?: unknown): Promise<unknown> {
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const answer = await fetch(url, { method, ...init })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text.slice(0, 300)}`)
  return text === '' ? undefined : JSON.parse(text)
}

/** Clears engine and L1, as after a restart of vLLM and the LMCache server. L2 stays. */
export async function forget(): Promise<void> {
  await ask('POST', `${engineUrl}/reset_prefix_cache`)
  await ask('POST', `${lmcacheUrl}/cache/clear`, { tier: 'l1' })
}

/** The ids and the salt with which a proxy called the engine, which name its chunks. */
export interface Stored {
  readonly ids: readonly number[]
  readonly salt: string
}

interface Placed {
  readonly key: unknown
  readonly placements: readonly { readonly tier: string; readonly backend: string }[]
}

async function lookup({ ids, salt }: Stored): Promise<readonly Placed[]> {
  const body = { token_ids: ids, model_name: await engineName(), world_size: 1, cache_salt: salt }
  const answer = (await ask('POST', `${coordinatorUrl}/directory/lookup`, body)) as { results: Placed[] }
  return answer.results
}

/** How many chunks the directory shows in a tier. */
export async function countIn(tier: 'l1' | 'l2', stored: Stored): Promise<number> {
  const chunks = await lookup(stored)
  return chunks.filter(({ placements }) => placements.some((placement) => placement.tier === tier)).length
}

/** Deletes the chunks from every adapter, one by one (docs/engine-behavior.md#coordinator-delete), from L1, and from the engine. */
export async function emptyTiers(stored: Stored): Promise<void> {
  const keys = (await lookup(stored)).map(({ key }) => key)
  const { adapters } = (await ask('GET', `${lmcacheUrl}/config/adapters`)) as { adapters: { type_name: string }[] }
  for (const { type_name: adapter } of adapters) {
    await ask('DELETE', `${lmcacheUrl}/cache/objects`, { keys, tier: 'l2', adapter })
  }
  await ask('DELETE', `${lmcacheUrl}/cache/objects`, { keys, tier: 'l1' })
  await ask('POST', `${engineUrl}/reset_prefix_cache`)
}

/** The pin counts of the coordinator under a salt, one per pinned chunk. */
export async function pinCounts(salt: string): Promise<number[]> {
  const url = `${coordinatorUrl}/cache/pins?cache_salt=${encodeURIComponent(salt)}&limit=1000`
  const { pins } = (await ask('GET', url)) as { pins: { pin_count: number }[] }
  return pins.map((pin) => pin.pin_count)
}

/** The expected pin counts: one pin on each whole chunk of this many tokens. */
export const onePinEach = (tokens: number): number[] => Array<number>(Math.floor(tokens / CHUNK)).fill(1)

/** Tokens that the engine found in its own cache and in LMCache so far. Answers of pooling models and of batches do not report them. */
export async function hits(): Promise<number> {
  const text = await (await fetch(`${engineUrl}/metrics`)).text()
  const lines = [...text.matchAll(/^vllm:(?:external_)?prefix_cache_hits_total\{[^}]*\} ([0-9.e+]+)$/gm)]
  return lines.reduce((sum, [, value]) => sum + Number(value), 0)
}

/** Whether this engine has a path: pooling models have others than text models. */
export async function serves(path: string): Promise<boolean> {
  const { paths } = (await ask('GET', `${engineUrl}/openapi.json`)) as { paths: Record<string, unknown> }
  return Object.hasOwn(paths, path)
}

/** Whether this engine was started with `--enable-scale-out` (SCALE_OUT=1 npm run engine:up). */
export async function rendersPrompts(): Promise<boolean> {
  const body = { model: await servedName(), messages: [{ role: 'user', content: 'hi' }], max_tokens: 1 }
  const init = { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  return (await fetch(`${engineUrl}/v1/messages/render`, init)).status === 200
}

async function firstModel(): Promise<{ id: string; root: string }> {
  const { data } = (await ask('GET', `${engineUrl}/v1/models`)) as { data: { id: string; root: string }[] }
  const [model] = data
  if (model === undefined) throw new Error('the engine lists no model')
  return model
}

/** The name that clients send. */
export const servedName = async (): Promise<string> => (await firstModel()).id
/** The model name in LMCache's keys. */
const engineName = async (): Promise<string> => (await firstModel()).root

/** Polls until `done` is true. Throws at the deadline, with the label and the last value. */
export async function eventually<Value>(
  label: string,
  read: () => Promise<Value>,
  done: (value: Value) => boolean,
  { deadlineMs = 15_000, everyMs = 50 } = {},
): Promise<Value> {
  for (const end = Date.now() + deadlineMs; ; ) {
    const value = await read()
    if (done(value)) return value
    if (Date.now() > end) throw new Error(`${label}: not within ${deadlineMs} ms; last: ${JSON.stringify(value)}`)
    await delay(everyMs)
  }
}
