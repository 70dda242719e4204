// Settings: where cwm listens, its store, its secrets, and who may use it.

import { z } from 'zod'
import { addresses, encryptionKey, flag, names, port, storeAddress, text } from '../fields.ts'
import { tenants } from '../tenants.ts'

export const accessSettings = {
  host: text().default('127.0.0.1').describe('Address to listen on'),
  port: port.default(8787).describe('Port to listen on; 0 picks a free port'),
  data_dir: text().default('.cwm').describe('Directory for the store and the secret, created with mode 0700'),
  store: storeAddress
    .default('sqlite')
    .describe(
      'Where sessions and windows are stored: `sqlite`, a file in the data directory, or the address of a Redis that several proxies share, ' +
        'as `redis://`, `rediss://` or `redis-cluster://`. Set an address that contains a password through the variable',
    ),
  secret: text(16)
    .optional()
    .describe(
      'Secret from which all salts are derived, 16 characters or more. Default: generated in the data directory',
    ),
  encryption_key: encryptionKey
    .optional()
    .describe(
      'Encrypts messages and token ids in the store: 32 bytes in base64 or hex. Without it they are stored in clear text',
    ),
  encryption_keys_old: names
    .pipe(z.array(encryptionKey))
    .default([])
    .describe('Previous values of encryption_key, needed until everything is encrypted with the new key'),
  operator_key: text(16)
    .optional()
    .describe(
      'API key of the operator: metrics, audit log, and REST for any tenant (header x-cwm-tenant). Without it, metrics are readable from loopback only',
    ),
  operator_reads_messages: flag
    .default(false)
    .describe(
      'Allow the operator key to read, search, export and ask the messages of tenants. Each access is in the audit log of the tenant',
    ),
  tenants: tenants
    .optional()
    .describe(
      'Tenants and their keys. Without this, each key is a tenant of its own, and requests without a key are one tenant',
    ),
  any_key: flag
    .default(false)
    .describe('Allow listening beyond loopback without tenants: every key is accepted as a tenant of its own'),
  trusted_proxies: addresses
    .default([])
    .describe(
      'Proxies in front of cwm whose X-Forwarded-For cwm trusts: addresses and CIDR ranges. The client address is the rightmost one in that header that is not a trusted proxy. Only used without tenants, where clients share slots and memory by address',
    ),
  exempt_addresses: addresses
    .default(['127.0.0.0/8', '::1'])
    .describe(
      'Client addresses and CIDR ranges from which each key has a share of its own. Without tenants, all keys of any other address (in IPv6: of its /64) together may take what one tenant may take',
    ),
}
