// LMCache 0.5.6's answers on the wire (lmcache/v1/mp_coordinator/schemas.py, multiprocess/http_apis).
// Only fields that cwm reads are required; unknown keys are kept.

import { z } from 'zod'

const count = z.number().int().nonnegative()

/** Coordinator: `GET /instances`. */
export const instancesSchema = z.looseObject({
  instances: z.array(
    z.looseObject({
      instance_id: z.string().min(1),
      ip: z.string().min(1),
      http_port: z.number().int().min(1).max(65535),
    }),
  ),
})

const engineMeta = z.record(z.string(), z.looseObject({ model_name: z.string(), world_size: z.number().int().min(1) }))

/** Server: `GET /status`. Attached engines are under one key on a GPU, under the other on a CPU. */
export const statusSchema = z.looseObject({
  is_healthy: z.boolean().nullish(),
  chunk_size: z.number().int().min(1).nullish(),
  hash_algorithm: z.string().nullish(),
  cache_context_meta: engineMeta.nullish(),
  non_cuda_context_meta: engineMeta.nullish(),
  storage_manager: z
    .looseObject({
      // Only adapters that evict. `/config` has it too, but as Python's repr of an object.
      l2_eviction_controller: z
        .looseObject({ adapters: z.array(z.looseObject({ eviction_policy: z.string() })) })
        .nullish(),
    })
    .nullish(),
})

/** Server: `GET /status`, the part that reports L1's memory. One manager per tag. */
export const l1RoomSchema = z.looseObject({
  storage_manager: z.looseObject({
    l1_managers: z.record(
      z.string(),
      z.looseObject({ total_object_count: count, memory_used_bytes: count, memory_total_bytes: count }),
    ),
  }),
})

/** Server: `GET /config`. It also contains the adapters' passwords in plain text: keep nothing but these fields. */
export const configSchema = z.object({
  mp: z
    .object({
      instance_id: z.string().nullish(),
      chunk_size: z.number().int().min(1).nullish(),
      hash_algorithm: z.string().nullish(),
      separate_object_groups: z.boolean().nullish(),
    })
    .nullish(),
  coordinator: z.object({ url: z.string().nullish(), event_reporting: z.boolean().nullish() }).nullish(),
  storage_manager: z
    .object({
      // For adapters with an address: a Redis. An invalid address counts as absent.
      l2_adapter_config: z
        .object({
          adapters: z.array(
            z.object({
              host: z.string().nullish().catch(null),
              port: z.number().int().nullish().catch(null),
              shared: z.boolean().nullish().catch(null),
            }),
          ),
        })
        .nullish(),
    })
    .nullish()
    .catch(null),
})

/** Server: `GET /config/adapters`. */
export const adaptersSchema = z.looseObject({
  adapters: z.array(z.looseObject({ type_name: z.string(), tier: z.string() })),
})

const objectKey = z.looseObject({
  chunk_hash_hex: z.string(),
  model_name: z.string(),
  kv_rank: count,
  object_group_id: count.default(0),
  cache_salt: z.string(),
})

const placements = z.array(
  z.looseObject({
    instance_id: z.string(),
    tier: z.string(),
    backend: z.string(),
    size_bytes: count.default(0),
    shared: z.boolean().optional(),
  }),
)

/** Coordinator: `POST /directory/lookup`. One result per chunk, rank and object group. */
export const lookupSchema = z.looseObject({
  chunks: count,
  results: z.array(z.looseObject({ key: objectKey, placements })),
})

/** Coordinator: `GET /directory/keys`. */
export const directoryKeysSchema = z.looseObject({
  total: count,
  keys: z.array(z.looseObject({ key: objectKey, placements })),
})

/** Coordinator: `POST` and `DELETE /cache/pins`. */
export const pinSchema = z.looseObject({ requested: count, affected: count })

/** Coordinator: `GET /cache/pins`. */
export const pinListSchema = z.looseObject({
  total: count,
  pins: z.array(z.looseObject({ key: objectKey, pin_count: count })),
})

/** Either: `POST /cache/prefetches`. A server's `noop` has no `request_id`, a coordinator's has an empty one. */
export const prefetchSchema = z.looseObject({
  status: z.enum(['submitted', 'noop']),
  chunks: count,
  request_id: z.string().optional(),
})

/** Either: `GET /cache/prefetches/…`. */
export const prefetchStatusSchema = z.discriminatedUnion('status', [
  z.looseObject({ status: z.literal('pending') }),
  z.looseObject({ status: z.literal('completed'), found_keys: count, total_keys: count }),
])

/**
 * Server: `DELETE /cache/objects`. `deleted` counts an adapter's whole batch, existing or not, but L1's actual removals; `skipped` counts what
 * L1 has locked; `ok` is false if the adapter raised an error.
 */
export const deleteSchema = z.looseObject({ deleted: count, skipped: count, ok: z.boolean() })

/** Either: `PUT` and `DELETE /quota/{salt}`. */
export const quotaSchema = z.looseObject({ status: z.string() })

export type ObjectKeyAnswer = z.infer<typeof objectKey>
export type LookupAnswer = z.infer<typeof lookupSchema>
export type PinListAnswer = z.infer<typeof pinListSchema>
export type StatusAnswer = z.infer<typeof statusSchema>
export type ConfigAnswer = z.infer<typeof configSchema>
