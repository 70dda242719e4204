// The servers of a fleet with their endpoints.

import type { Endpoint } from './http.ts'
import type { LmcacheServer } from './topology.ts'

/** What deletions, probes and quotas need of a server's description. */
export type KnownServer = Pick<
  LmcacheServer,
  'instanceId' | 'url' | 'reachable' | 'registered' | 'backends' | 'engines' | 'isolatedLru'
>

export interface FleetServer extends KnownServer {
  /** Instance id and address, for an operator. */
  readonly label: string
  readonly endpoint: Endpoint
}

export interface Fleet {
  /** Absent: keys cannot be named. */
  readonly coordinator?: Endpoint
  readonly servers: readonly FleetServer[]
  /** Bytes of one key by engine name, as last seen, because deleted keys no longer show their size. */
  readonly keyBytes: Map<string, number>
}

/** A fleet whose endpoints are opened by `open`. */
export function openFleet(
  coordinator: Endpoint | undefined,
  servers: readonly KnownServer[],
  open: (url: string) => Endpoint,
  keyBytes: Map<string, number>,
): Fleet {
  return {
    ...(coordinator === undefined ? {} : { coordinator }),
    keyBytes,
    servers: servers.map((server) => ({
      ...server,
      label: server.instanceId === undefined ? server.url : `${server.instanceId} (${server.url})`,
      endpoint: open(server.url),
    })),
  }
}
