// Finds the engines behind a DNS name. With address records, each address is an engine, so a replaced pod is a new engine. With SRV
// records, host name and port identify an engine, so a pod of a StatefulSet keeps its identity.

import type { SrvRecord } from 'node:dns'
import { lookup, resolveSrv } from 'node:dns/promises'
import { CwmError } from '../base/errors.ts'
import { type DnsName, dnsNameOf, isService } from './dns-name.ts'
import type { EngineSpec } from './engine-spec.ts'

/** The part of `node:dns/promises` that is used. */
export interface EngineResolver {
  /** All A and AAAA records of a name. */
  addresses(name: string): Promise<readonly { readonly address: string; readonly family: number }[]>
  services(name: string): Promise<readonly SrvRecord[]>
}

/**
 * Addresses come from the system's resolver, which knows `/etc/hosts` and the search domains of a container; SRV records from DNS itself,
 * so their names must be complete.
 */
export const systemResolver: EngineResolver = {
  addresses: (name) => lookup(name, { all: true }),
  services: (name) => resolveSrv(name),
}

/** The system's resolver may take much longer, and cannot be aborted. */
const DEADLINE_MS = 5_000

/**
 * The engines that an address such as `dns+http://NAME:PORT` has now, in a stable order, at most `atMost`. Throws `UPSTREAM_REFUSED` if the
 * lookup fails, takes too long, or finds none; aborting makes it throw at once.
 */
export async function lookUpEngines(
  address: string,
  resolver: EngineResolver,
  atMost: number,
  signal?: AbortSignal,
): Promise<readonly EngineSpec[]> {
  const name = dnsNameOf(address)
  const work = isService(name) ? findServices(name, resolver) : findAddresses(name, resolver)
  const found = await withDeadline(work, name.name, signal)
  if (found.length === 0) throw failed(name.name, 'no records')
  return found.toSorted((a, b) => (a.url < b.url ? -1 : 1)).slice(0, atMost)
}

async function findAddresses({ scheme, name, port, path }: DnsName, resolver: EngineResolver): Promise<EngineSpec[]> {
  const all = await resolver.addresses(name)
  const hosts = all.map(({ address, family }) => (family === 6 ? `[${address}]` : address))
  return [...new Set(hosts)].map((host) => ({ url: `${scheme}//${host}:${port}${path}`, weight: 1 }))
}

/**
 * Records of the most preferred priority receive sessions by their weights. A weight of 0 means a small share (RFC 2782), here 1. All other
 * records are standbys: weight 0.
 */
async function findServices({ scheme, name, path }: DnsName, resolver: EngineResolver): Promise<EngineSpec[]> {
  const all = await resolver.services(name)
  const preferred = Math.min(...all.map(({ priority }) => priority))
  const weights = new Map<string, number>()
  for (const { name: target, port, priority, weight } of all) {
    const url = `${scheme}//${target.toLowerCase().replace(/\.$/, '')}:${port}${path}`
    weights.set(url, Math.max(weights.get(url) ?? 0, priority === preferred ? Math.max(1, weight) : 0))
  }
  return [...weights].map(([url, weight]) => ({ url, weight }))
}

async function withDeadline<T>(work: Promise<T>, name: string, signal: AbortSignal | undefined): Promise<T> {
  const deadline = AbortSignal.timeout(DEADLINE_MS)
  const end = signal === undefined ? deadline : AbortSignal.any([deadline, signal])
  try {
    return await Promise.race([work, rejectOn(end)])
  } catch (thrown) {
    if (signal?.aborted === true) throw failed(name, 'cwm is stopping')
    if (deadline.aborted) throw failed(name, `no answer within ${DEADLINE_MS / 1000} s`)
    throw failed(name, thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown error', thrown)
  }
}

function rejectOn(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(new Error('aborted'))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

function failed(name: string, why: string, cause?: unknown): CwmError {
  return new CwmError('UPSTREAM_REFUSED', `DNS lookup of ${name} (setting upstream) failed: ${why}`, {
    cause,
  })
}
