import { describe, expect, it } from 'vitest'
import { type EngineResolver, lookUpEngines } from './dns-engines.ts'

const none: EngineResolver = { addresses: async () => [], services: async () => [] }
const addresses = (...all: readonly string[]): EngineResolver => ({
  ...none,
  addresses: async () => all.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
})
const services = (...all: readonly (readonly [string, number, number, number])[]): EngineResolver => ({
  ...none,
  services: async () => all.map(([name, port, priority, weight]) => ({ name, port, priority, weight })),
})

describe('engines found in DNS', () => {
  it('are the addresses of a name, in a stable order', async () => {
    const found = await lookUpEngines('dns+http://vllm:8000/v1', addresses('10.0.0.2', '10.0.0.1', 'fd00::1'), 9)

    expect(found).toEqual([
      { url: 'http://10.0.0.1:8000/v1', weight: 1 },
      { url: 'http://10.0.0.2:8000/v1', weight: 1 },
      { url: 'http://[fd00::1]:8000/v1', weight: 1 },
    ])
  })

  it('are the targets of a service, with the weights of its records', async () => {
    const found = await lookUpEngines(
      'dns+https://_vllm._tcp.fleet.example',
      services(['vllm-1.Example.', 8000, 0, 3], ['vllm-0.example', 8001, 0, 1]),
      9,
    )

    expect(found).toEqual([
      { url: 'https://vllm-0.example:8001', weight: 1 },
      { url: 'https://vllm-1.example:8000', weight: 3 },
    ])
  })

  it('stand by if their record is less preferred, and get a small share if its weight is 0', async () => {
    const found = await lookUpEngines(
      'dns+http://_vllm._tcp.x',
      services(['a', 1, 10, 0], ['b', 1, 10, 50], ['c', 1, 20, 50]),
      9,
    )

    expect(found.map(({ weight }) => weight)).toEqual([1, 50, 0])
  })

  it('are no more than the caller can take', async () => {
    const found = await lookUpEngines('dns+http://vllm', addresses('10.0.0.3', '10.0.0.1', '10.0.0.2'), 2)

    expect(found.map(({ url }) => url)).toEqual(['http://10.0.0.1:80', 'http://10.0.0.2:80'])
  })

  it('are unknown if the name has no records, or cannot be looked up', async () => {
    const refusing = {
      ...none,
      addresses: () => Promise.reject(Object.assign(new Error('query'), { code: 'ENOTFOUND' })),
    }

    await expect(lookUpEngines('dns+http://vllm', none, 9)).rejects.toThrow(/lookup of vllm .*no records/)
    await expect(lookUpEngines('dns+http://vllm', refusing, 9)).rejects.toThrow(/lookup of vllm .*ENOTFOUND/)
  })

  it('are not waited for once cwm stops', async () => {
    const never = { ...none, addresses: () => new Promise<never>(() => {}) }

    await expect(lookUpEngines('dns+http://vllm', never, 9, AbortSignal.abort())).rejects.toThrow(/lookup of vllm/)
  })

  it.each([
    ['dns+ftp://vllm', 'must be dns+http://NAME:PORT'],
    ['dns+http://user:secret@vllm', 'must be dns+http://NAME:PORT'],
    ['dns+https://vllm:8000', 'because certificates are for names'],
    ['dns+http://_vllm._tcp.x:8000', 'must not have a port'],
  ])('cannot be named as %s', async (address, words) => {
    await expect(lookUpEngines(address, none, 9)).rejects.toThrow(words)
  })
})
