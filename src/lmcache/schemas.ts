// The answers of LMCache 0.5.6 as they are on the wire (lmcache/v1/mp_coordinator/schemas.py, multiprocess/http_apis).
// Only what cwm reads is demanded; unknown keys survive.

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

/** Server: `GET /status`. The engines attached stand under one key on a GPU, under the other on a CPU. */
export const statusSchema = z.looseObject({
  is_healthy: z.boolean().nullish(),
  chunk_size: z.number().int().min(1).nullish(),
  hash_algorithm: z.string().nullish(),
  cache_context_meta: engineMeta.nullish(),
  non_cuda_context_meta: engineMeta.nullish(),
})

/** Server: `GET /config`. It also holds the adapters' passwords in the clear: keep nothing of it but these. */
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
})

/** Server: `GET /config/adapters`. */
export const adaptersSchema = z.looseObject({
  adapters: z.array(z.looseObject({ type_name: z.string(), tier: z.string() })),
})

const objectKey = z.looseObject({
  chunk_hash_hex: z.string(),
  model_name: z.string(),
  kv_rank: count,
  cache_salt: z.string(),
})

/** Coordinator: `POST /directory/lookup`. One result per chunk, rank and object group. */
export const lookupSchema = z.looseObject({
  chunks: count,
  results: z.array(
    z.looseObject({
      key: objectKey,
      placements: z.array(z.looseObject({ instance_id: z.string(), tier: z.string(), backend: z.string() })),
    }),
  ),
})

/** Coordinator: `POST` and `DELETE /cache/pins`. */
export const pinSchema = z.looseObject({ requested: count, affected: count })

/** Coordinator: `GET /cache/pins`. */
export const pinListSchema = z.looseObject({
  total: count,
  pins: z.array(z.looseObject({ key: objectKey, pin_count: count })),
})

/** Either: `POST /cache/prefetches`. A `noop` of a server has no `request_id`, a coordinator's an empty one. */
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

export type LookupAnswer = z.infer<typeof lookupSchema>
export type PinListAnswer = z.infer<typeof pinListSchema>
export type StatusAnswer = z.infer<typeof statusSchema>
export type ConfigAnswer = z.infer<typeof configSchema>
