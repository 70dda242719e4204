// Loads the chunks of a sequence from L2 into a server's L1, which proves which of them exist: submit, then poll.

import { setTimeout as delay } from 'node:timers/promises'
import { CwmError } from '../../base/errors.ts'
import type { Endpoint } from './http.ts'
import { prefetchSchema, prefetchStatusSchema } from './schemas.ts'
import { countChunks, type Sequence, sequenceBody } from './sequence.ts'

/**
 * `completed`: `foundKeys` of `totalKeys` (one per chunk and rank) are in L1 now; the rest is in no L2, or did not fit. `noop`: the sequence is
 * shorter than one chunk, and nothing was requested. `timeout`: the load continues after the deadline, and nothing is known.
 */
export interface PrefetchResult {
  readonly status: 'completed' | 'noop' | 'timeout'
  readonly foundKeys: number | null
  readonly totalKeys: number | null
}

export interface PrefetchOptions {
  /** From the call to the last poll, milliseconds. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/** Where to ask: a server itself, or the coordinator for one of its instances. */
export interface PrefetchRoute {
  readonly endpoint: Endpoint
  /** Set when `endpoint` is a coordinator. */
  readonly instanceId?: string
}

const firstPollMs = 10
const slowestPollMs = 250
const unknown = { foundKeys: null, totalKeys: null } as const

/** See `LmcacheClient.prefetch`. */
export async function prefetchChunks(
  route: PrefetchRoute,
  sequence: Sequence,
  options: PrefetchOptions,
): Promise<PrefetchResult> {
  if (countChunks(sequence) === 0) return { status: 'noop', foundKeys: 0, totalKeys: 0 }
  const { signal } = options
  const endsAt = performance.now() + options.deadlineMs
  const left = () => endsAt - performance.now()
  try {
    const path = await submit(route, sequence, left(), signal)
    if (path === undefined) return { status: 'noop', foundKeys: 0, totalKeys: 0 }
    for (let pauseMs = firstPollMs; left() > 0; pauseMs = Math.min(pauseMs * 2, slowestPollMs)) {
      // `completed` is reported once (docs/engine-behavior.md#prefetch). A poll whose answer is lost cannot be repeated, so errors pass through.
      const call = { method: 'GET', path, schema: prefetchStatusSchema, signal, timeoutMs: left() } as const
      const answer = await route.endpoint.call(call)
      if (answer.status === 'completed') {
        return { status: 'completed', foundKeys: answer.found_keys, totalKeys: answer.total_keys }
      }
      if (left() > 0) await delay(Math.min(pauseMs, left()), undefined, signal === undefined ? {} : { signal })
    }
  } catch (thrown) {
    signal?.throwIfAborted()
    if (left() > 0 || !(thrown instanceof CwmError && thrown.code === 'LMCACHE_UNREACHABLE')) throw thrown
  }
  return { status: 'timeout', ...unknown }
}

/** Starts the load. Returns the path to poll, or undefined if LMCache found no whole chunk. */
async function submit(
  { endpoint, instanceId }: PrefetchRoute,
  sequence: Sequence,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const path = '/cache/prefetches'
  const body = sequenceBody(sequence, instanceId === undefined ? {} : { instance_id: instanceId })
  const call = { method: 'POST', path, body, schema: prefetchSchema, signal, timeoutMs } as const
  const { status, request_id } = await endpoint.call(call)
  if (status === 'noop') return undefined
  if (request_id === undefined || !/^[\w-]{1,128}$/.test(request_id)) {
    throw endpoint.badAnswer(call, 'answered no usable request_id')
  }
  return instanceId === undefined ? `${path}/${request_id}` : `${path}/${encodeURIComponent(instanceId)}/${request_id}`
}
