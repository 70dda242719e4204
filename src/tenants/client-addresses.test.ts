// By which address a request counts: its connection's, or the one that a trusted proxy saw.

import { describe, expect, it } from 'vitest'
import { ClientAddresses, isAddressRange } from './client-addresses.ts'

const exempt = ['127.0.0.0/8', '::1']

function groupOf(address: string | undefined, forwarded?: string, trustedProxies: readonly string[] = []) {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  return new ClientAddresses({ trustedProxies, exempt }).groupOf({ headers, socket: { remoteAddress: address } })
}

describe('the address that shares count by', () => {
  it.each([
    ['192.0.2.1', 'ip:192.0.2.1'],
    ['::ffff:192.0.2.1', 'ip:192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', 'ip:2001:db8:1:2::/64'],
    ['2001:db8::1', 'ip:2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'ip:fe80:0:0:0::/64'],
  ])('is that of the connection, in IPv6 its /64: %s', (address, group) => {
    expect(groupOf(address)).toBe(group)
  })

  it.each([
    ['loopback', '127.0.0.2'],
    ['loopback, mapped', '::ffff:127.0.0.1'],
    ['loopback in IPv6', '::1'],
    ['a connection that is gone', undefined],
  ])('is none for %s', (_, address) => {
    expect(groupOf(address)).toBeUndefined()
  })

  it('is not what a client says that is no trusted proxy', () => {
    expect(groupOf('192.0.2.1', '198.51.100.7', ['10.0.0.0/8'])).toBe('ip:192.0.2.1')
  })

  it.each([
    ['the last one', '203.0.113.9, 198.51.100.7'],
    ['before other trusted proxies', '203.0.113.9, 198.51.100.7, 10.1.1.1'],
    ['with a port', '203.0.113.9, 198.51.100.7:4711'],
  ])('is what a trusted proxy says: %s', (_, forwarded) => {
    expect(groupOf('10.0.0.1', forwarded, ['10.0.0.0/8'])).toBe('ip:198.51.100.7')
  })

  it('may be IPv6 behind a proxy, with a port or without', () => {
    expect(groupOf('10.0.0.1', '[2001:db8::1]:443', ['10.0.0.1'])).toBe('ip:2001:db8:0:0::/64')
    expect(groupOf('10.0.0.1', '2001:db8::1', ['10.0.0.1'])).toBe('ip:2001:db8:0:0::/64')
  })

  it.each([
    ['nothing', undefined],
    ['what is no address', 'unknown'],
    ['an address to the left of what is none', '198.51.100.7, unknown'],
  ])("is the proxy's own if it says %s", (_, forwarded) => {
    expect(groupOf('10.0.0.1', forwarded, ['10.0.0.0/8'])).toBe('ip:10.0.0.1')
  })

  it('is exempt by what a trusted proxy says too', () => {
    expect(groupOf('10.0.0.1', '127.0.0.1', ['10.0.0.0/8'])).toBeUndefined()
  })

  it('is computed again for each request of a trusted proxy, and once for any other connection', () => {
    const addresses = new ClientAddresses({ trustedProxies: ['10.0.0.1'], exempt })
    const proxy = { remoteAddress: '10.0.0.1' }
    const client = { remoteAddress: '192.0.2.1' }

    const groups = ['198.51.100.1', '198.51.100.2'].map((forwarded) => {
      return addresses.groupOf({ headers: { 'x-forwarded-for': forwarded }, socket: proxy })
    })
    const first = addresses.groupOf({ headers: {}, socket: client })
    client.remoteAddress = '192.0.2.9'

    expect(groups).toEqual(['ip:198.51.100.1', 'ip:198.51.100.2'])
    expect([first, addresses.groupOf({ headers: {}, socket: client })]).toEqual(['ip:192.0.2.1', 'ip:192.0.2.1'])
  })
})

describe('addresses in the settings', () => {
  it.each(['10.0.0.0/8', '192.0.2.1', '::1', '2001:db8::/32'])('may be %s', (text) => {
    expect(isAddressRange(text)).toBe(true)
  })

  it.each(['', 'localhost', '10.0.0.0/33', '10.0.0.0/', '10.0/8', '::1/129', '10.0.0.0/8/8'])(
    'may not be %j',
    (text) => {
      expect(isAddressRange(text)).toBe(false)
    },
  )
})
