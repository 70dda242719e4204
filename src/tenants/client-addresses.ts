// Groups clients by address where no tenants are listed: all keys of one address have one share together, because anybody can invent keys
// there. Behind trusted proxies, the client's address is the rightmost one in X-Forwarded-For that is not a trusted proxy's.

import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, isIPv4 } from 'node:net'

/** A request as far as its origin is concerned. */
export type Origin = Pick<IncomingMessage, 'headers'> & {
  readonly socket: Pick<IncomingMessage['socket'], 'remoteAddress'>
}

export interface ClientAddressOptions {
  /** Addresses and CIDR ranges of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[]
  /** Addresses and CIDR ranges whose keys are not counted together. */
  readonly exempt: readonly string[]
}

const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i

export class ClientAddresses {
  readonly #trusted: BlockList | undefined
  readonly #exempt: BlockList
  /** By socket. An address is looked up once per connection. */
  readonly #bySocket = new WeakMap<object, { readonly group: string | undefined }>()

  constructor({ trustedProxies, exempt }: ClientAddressOptions) {
    this.#trusted = trustedProxies.length === 0 ? undefined : blockListOf(trustedProxies)
    this.#exempt = blockListOf(exempt)
  }

  /**
   * The group whose share a request uses, such as `ip:192.0.2.1` or `ip:2001:db8:0:1::/64`; undefined if its address is exempt or
   * unknown. Computed once per connection, unless that is a trusted proxy's.
   */
  groupOf({ headers, socket }: Origin): string | undefined {
    const known = this.#bySocket.get(socket)
    if (known !== undefined) return known.group
    const address = plainAddress(socket.remoteAddress)
    if (address === undefined) return undefined
    if (this.#trusted !== undefined && contains(this.#trusted, address)) {
      return this.#toGroup(this.#behindProxies(address, headers['x-forwarded-for']))
    }
    const group = this.#toGroup(address)
    this.#bySocket.set(socket, { group })
    return group
  }

  /** Read from the right, because each proxy appends the address that it saw, and a client can send anything to the left of that. */
  #behindProxies(proxy: string, forwarded: string | string[] | undefined): string {
    let address = proxy
    for (const hop of String(forwarded ?? '')
      .split(',')
      .reverse()) {
      const next = plainAddress(withoutPort(hop.trim()))
      if (next === undefined) return address
      address = next
      if (this.#trusted !== undefined && !contains(this.#trusted, address)) return address
    }
    return address
  }

  #toGroup(address: string): string | undefined {
    return contains(this.#exempt, address) ? undefined : `ip:${isIPv4(address) ? address : prefixOf(address)}`
  }
}

/** Whether a text is an address or a CIDR range that `ClientAddresses` accepts. */
export function isAddressRange(text: string): boolean {
  const { address, prefix } = splitRange(text)
  const version = isIP(address)
  if (version === 0 || prefix === undefined) return version !== 0
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128)
}

function blockListOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const { address, prefix } = splitRange(range)
    const version = isIPv4(address) ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, version)
    else list.addSubnet(address, Number(prefix), version)
  }
  return list
}

function splitRange(text: string): { readonly address: string; readonly prefix: string | undefined } {
  const slash = text.indexOf('/')
  if (slash === -1) return { address: text, prefix: undefined }
  return { address: text.slice(0, slash), prefix: text.slice(slash + 1) }
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

/** An address without zone, and IPv4 as such if it is mapped into IPv6; undefined if it is none. */
function plainAddress(given: string | undefined): string | undefined {
  const address = given?.split('%', 1)[0] ?? ''
  const mapped = MAPPED.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  return isIP(address) === 0 ? undefined : address.toLowerCase()
}

/** Some proxies append the port: `192.0.2.1:5000`, `[2001:db8::1]:5000`. */
function withoutPort(hop: string): string {
  return /^\[(.*)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d[\d.]*):\d+$/.exec(hop)?.[1] ?? hop
}

/** The /64 of an IPv6 address: one client has at least that many addresses (RFC 6177). */
function prefixOf(address: string): string {
  const [head = '', tail] = address.split('::', 2)
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = Math.max(0, 8 - left.length - right.length)
  const groups = tail === undefined ? left : [...left, ...Array<string>(missing).fill('0'), ...right]
  const short = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${short.join(':')}::/64`
}
