// An address such as dns+http://NAME:PORT: a name in DNS whose addresses are the engines.

import { CwmError } from '../base/errors.ts'

export interface DnsName {
  readonly scheme: 'http:' | 'https:'
  readonly name: string
  /** The port of each address. Undefined for a service: its SRV records have ports. */
  readonly port: number | undefined
  /** Added to each address; may be empty. */
  readonly path: string
}

/** Names of services begin with an underscore: `_service._proto.name` (RFC 2782). */
export function isService({ name }: Pick<DnsName, 'name'>): boolean {
  return name.startsWith('_')
}

/** Throws `CONFIG` for any other form. */
export function dnsNameOf(address: string): DnsName {
  const written = address.replace(/^dns\+/, '')
  const url = /^https?:\/\//.test(written) && URL.canParse(written) ? new URL(written) : undefined
  if (url === undefined || url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw fault('must be dns+http://NAME:PORT, or dns+http://_SERVICE._PROTO.NAME for SRV records')
  }
  const scheme = url.protocol === 'https:' ? 'https:' : 'http:'
  const found = { scheme, name: url.hostname, path: url.pathname.replace(/\/+$/, '') } as const
  if (isService(found)) {
    if (url.port !== '') throw fault('must not have a port: SRV records have the ports')
    return { ...found, port: undefined }
  }
  if (scheme === 'https:') {
    throw fault('must be dns+http:// for addresses, because certificates are for names; use SRV records, or a list')
  }
  return { ...found, port: url.port === '' ? 80 : Number(url.port) }
}

function fault(message: string): CwmError {
  return new CwmError('CONFIG', message, { param: 'upstream' })
}
