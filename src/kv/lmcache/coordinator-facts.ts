// Queries a coordinator: which servers it knows, whether it accepts pins, and whether it hashes as the servers do.

import { CwmError } from '../../base/errors.ts'
import { type Endpoint, urlOfHost } from './http.ts'
import { instancesSchema, lookupSchema, pinListSchema } from './schemas.ts'
import { sequenceBody } from './sequence.ts'
import { answerOrFailure } from './server-facts.ts'

/** A server as the coordinator lists it. */
export interface ListedServer {
  readonly instanceId: string
  readonly url: string
}

export interface CoordinatorFacts {
  readonly url: string
  readonly pins: boolean
  readonly listed: readonly ListedServer[]
  readonly warnings: readonly string[]
  /** Why the coordinator cannot be used. */
  readonly failure?: CwmError
}

/** Throws only on abort. */
export async function askCoordinator(endpoint: Endpoint, signal?: AbortSignal): Promise<CoordinatorFacts> {
  const ask = { method: 'GET', signal } as const
  const [instances, pins] = await Promise.all([
    answerOrFailure(endpoint.call({ ...ask, path: '/instances', schema: instancesSchema }), signal),
    // An `offset` beyond all entries: only the total is needed, so no keys cross the wire.
    answerOrFailure(
      endpoint.call({
        ...ask,
        path: '/cache/pins',
        query: { offset: '1000000000', limit: '1' },
        schema: pinListSchema,
      }),
      signal,
    ),
  ])
  const { url } = endpoint
  if (instances instanceof CwmError) {
    const warnings = [`${instances.message}; without it there are no pins and no directory`]
    return { url, pins: false, listed: [], warnings, failure: instances }
  }
  const warnings: string[] = []
  if (pins instanceof CwmError) warnings.push(`the coordinator does not accept pins: ${pins.message}`)
  const listed = instances.instances.flatMap(({ instance_id, ip, http_port }) => {
    try {
      return [{ instanceId: instance_id, url: urlOfHost(ip, http_port) }]
    } catch {
      warnings.push(
        `LMCache server ${instance_id} registered with an invalid address; set its --coordinator-advertise-ip`,
      )
      return []
    }
  })
  return { url, pins: !(pins instanceof CwmError), listed, warnings }
}

/**
 * Whether the coordinator chunks as the servers do (docs/engine-behavior.md#one-chunk-size). Two lookups are needed, because only a size of
 * exactly `chunkSize` makes one chunk of `chunkSize` ids and one of `2 * chunkSize - 1`.
 */
export async function probeChunkSize(endpoint: Endpoint, chunkSize: number, signal?: AbortSignal): Promise<string[]> {
  const keys = { engineName: 'cwm-probe', worldSize: 1, chunkSize: 1 }
  const counts = await Promise.all(
    [chunkSize, 2 * chunkSize - 1].map((length) => {
      const body = sequenceBody({ tokenIds: new Uint32Array(length), salt: '', keys })
      return answerOrFailure(
        endpoint.call({ method: 'POST', path: '/directory/lookup', body, schema: lookupSchema, signal }),
        signal,
      )
    }),
  )
  const failure = counts.find((count) => count instanceof CwmError)
  if (failure !== undefined) return [`the coordinator's directory cannot be queried: ${failure.message}`]
  if (counts.every((count) => !(count instanceof CwmError) && count.chunks === 1)) return []
  return [
    `the coordinator's --chunk-size differs from the servers' ${chunkSize}: lookups and pins will fail until they are equal`,
  ]
}
