// Bodies as strict as an engine reads them. What a client sent never comes back in an error's words.

import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { type BodyLimits, decodeBytes } from './body.ts'

function failure(run: () => unknown): { code: string; message: string } {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof CwmError) return { code: thrown.code, message: thrown.message }
    throw thrown
  }
  throw new Error('nothing was thrown')
}

async function rejection(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await promise
  } catch (thrown) {
    return failure(() => {
      throw thrown
    })
  }
  throw new Error('nothing was thrown')
}

/** At most so many bytes, unpacked. */
function upTo(maxBodyBytes: number): BodyLimits {
  return { maxBodyBytes, maxUnpackedRatio: 200 }
}

describe('decodeBytes', () => {
  const text = Buffer.from('{"model":"m"}')

  it.each([
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['GZIP', gzipSync(text)],
    [' br ', brotliCompressSync(text)],
    ['deflate', deflateSync(text)],
    ['identity', text],
    ['', text],
    ['gzip, identity', gzipSync(text)],
  ])('undoes %j', async (encoding, bytes) => {
    expect((await decodeBytes(bytes, encoding, upTo(1024))).toString()).toBe('{"model":"m"}')
  })

  it.each(['zstd', 'compress', 'gzip;q=1', 'constructor', '__proto__', 'gzip, gzip', 'deflate, gzip'])(
    'refuses the encoding %j',
    async (encoding) => {
      expect((await rejection(decodeBytes(gzipSync(text), encoding, upTo(1024)))).code).toBe('UNSUPPORTED_ENCODING')
    },
  )

  it.each([
    ['gzip', gzipSync(text).subarray(0, 20)],
    ['gzip', text],
    ['br', text],
    ['deflate', gzipSync(text)],
  ])('refuses what is not whole and valid %s', async (encoding, bytes) => {
    expect(await rejection(decodeBytes(bytes, encoding, upTo(1024)))).toEqual({
      code: 'UNSUPPORTED_ENCODING',
      message: `the request body is not valid ${encoding}`,
    })
  })

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const)('refuses a bomb in %s by what it unpacks to', async (encoding, pack) => {
    const bomb = pack(Buffer.alloc(4 * 1024 * 1024))
    expect(bomb.length).toBeLessThan(10_000)

    expect((await rejection(decodeBytes(bomb, encoding, upTo(64 * 1024)))).code).toBe('BODY_TOO_LARGE')
  })

  it('refuses a second coding, which would multiply what a byte becomes', async () => {
    const twice = gzipSync(gzipSync(text))

    expect(await rejection(decodeBytes(twice, 'gzip, gzip', upTo(1024)))).toEqual({
      code: 'UNSUPPORTED_ENCODING',
      message: 'the body has 2 content-encodings; send one of gzip, deflate, br, or none',
    })
  })

  it('refuses what unpacks to more than two hundred times its bytes, beyond 4 MiB alone', async () => {
    const limits = upTo(64 * 1024 * 1024)
    const [small, large] = [gzipSync(Buffer.alloc(4 * 1024 * 1024)), gzipSync(Buffer.alloc(5 * 1024 * 1024))]

    expect((await decodeBytes(small, 'gzip', limits)).length).toBe(4 * 1024 * 1024)
    const { code, message } = await rejection(decodeBytes(large, 'gzip', limits))
    expect(code).toBe('BODY_TOO_LARGE')
    expect(message).toMatch(
      /^the request body unpacks from \d+ bytes to at least \d+; beyond 4 MiB the ratio may be at most 200 \(setting max_unpacked_ratio\)$/,
    )
    expect((await decodeBytes(large, 'gzip', { ...limits, maxUnpackedRatio: 2000 })).length).toBe(5 * 1024 * 1024)
  })

  it('takes what unpacks to exactly the bound', async () => {
    expect((await decodeBytes(gzipSync(Buffer.alloc(1024)), 'gzip', upTo(1024))).length).toBe(1024)
    expect((await rejection(decodeBytes(gzipSync(Buffer.alloc(1025)), 'gzip', upTo(1024)))).code).toBe('BODY_TOO_LARGE')
  })

  it('does not send an unknown name back', async () => {
    expect((await rejection(decodeBytes(text, 'q'.repeat(5000), upTo(1024)))).message).toBe(
      'this content-encoding is not supported; send gzip, deflate, br or none',
    )
  })
})
