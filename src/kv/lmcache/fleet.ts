// The servers of a fleet as something to speak with: who each is, and how to reach it.

import type { Endpoint } from './http.ts'
import type { LmcacheServer } from './topology.ts'

/** What of a server's description a delete, a probe and a quota need. */
export type KnownServer = Pick<
  LmcacheServer,
  'instanceId' | 'url' | 'reachable' | 'registered' | 'backends' | 'engines' | 'isolatedLru'
>

export interface FleetServer extends KnownServer {
  /** For an operator: instance id and address. */
  readonly label: string
  readonly endpoint: Endpoint
}

export interface Fleet {
  /** Absent: nobody can name keys. */
  readonly coordinator?: Endpoint
  readonly servers: readonly FleetServer[]
  /** Bytes of one key by engine name, as last seen: what is gone cannot tell its size any more. */
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
