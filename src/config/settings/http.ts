// Settings: which requests are forwarded, and the limits of requests and responses.

import { bytes, count, countOrNone, flag, MIB, ms, names, routes, unsalted } from '../fields.ts'
import { bounds } from '../tenants.ts'

export const httpSettings = {
  preserve_host: flag.default(false).describe("Forward the client's Host header instead of the upstream's own host"),
  allowed_hosts: names
    .default([])
    .describe(
      'Host names accepted while cwm listens on loopback, in addition to those of loopback (against DNS rebinding)',
    ),
  allowed_fields: bounds.allowed_fields
    .default([])
    .describe('Fields and headers that tenants may send although they bypass the gateway'),
  routes: routes.default({}).describe('Paths to forward in addition to those of vLLM'),
  unsalted_paths: unsalted
    .default([])
    .describe(
      'Paths of the engine that compute KV without a salt and are rejected otherwise (docs/paths.md). Their KV is shared by all tenants',
    ),
  max_body_bytes: bytes.optional().describe('Largest request body, bytes'),
  max_body_bytes_in_all: bytes
    .optional()
    .describe(
      'Maximum bytes of all request bodies held at once, decompressed; beyond that, requests are rejected (429). A tenant may hold no more than what is still free, unless its body is the only one',
    ),
  max_unpacked_ratio: count
    .default(200)
    .describe('Bytes that each byte of a compressed body may decompress to, beyond the first 4 MiB'),
  max_body_values: count
    .default(100_000)
    .describe(
      'Maximum objects, lists, and strings in a JSON body, including keys. Fifteen times as many numbers are allowed, so that a prompt of a million token ids is accepted',
    ),
  max_object_members: count.default(20_000).describe('Maximum members of an object in a JSON body'),
  max_messages: count.default(10_000).describe('Maximum messages, or items of `input`, in a body'),
  max_header_bytes: bytes.default(64 * 1024).describe('Largest request header section, bytes'),
  max_headers: count.default(256).describe('Maximum headers of a request'),
  request_headers_timeout_ms: ms
    .default(60_000)
    .describe("Time for a request's headers to arrive, milliseconds; 0 for no limit"),
  body_timeout_ms: ms.default(300_000).describe('Time for the whole request to arrive, milliseconds; 0 for no limit'),
  body_grace_ms: ms
    .default(10_000)
    .describe('How long a request body may take before min_body_bytes_per_second applies to it, milliseconds'),
  min_body_bytes_per_second: countOrNone
    .default(1_000)
    .describe(
      'Average rate at which a request body must arrive after body_grace_ms, bytes per second; a slower one is rejected (408). 0 allows any',
    ),
  client_stall_ms: ms
    .default(120_000)
    .describe('How long a client may stop reading an answer before it is disconnected, milliseconds; 0 for no limit'),
  keep_alive_ms: ms
    .default(75_000)
    .describe(
      'How long an idle connection stays open, milliseconds; 0 for no limit. Keep this longer than the idle timeout of a load balancer in front of cwm',
    ),
  max_held_bytes: bytes
    .default(16 * MIB)
    .describe('Largest JSON answer that is held until complete, bytes. A larger one passes unread'),
  max_observed_bytes: bytes
    .default(16 * MIB)
    .describe('Longest stream whose reply is read, bytes. After a longer one, the history is not recognized'),
  max_observed_bytes_in_all: bytes
    .optional()
    .describe(
      'Maximum bytes of all answers in memory at once: held, observed, or waiting for their clients. A tenant may hold no more than what is still free; beyond that, its answers pass unread, and those of REST are rejected (429)',
    ),
}
