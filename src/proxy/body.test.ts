// Bodies as strict as an engine reads them. What a client sent never comes back in an error's words.

import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { decodeBytes, MAX_DEPTH, parseBody, readBytes } from './body.ts'

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

/** An object of `levels` levels, itself included. */
function nested(levels: number): string {
  return `${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`
}

describe('parseBody', () => {
  it('takes one JSON object with white space around it', () => {
    expect(parseBody(Buffer.from(' \n{"a":"ä😀"}\t '))).toEqual({ a: 'ä😀' })
  })

  it.each([
    ['a lone continuation byte', [0x7b, 0x22, 0x80, 0x22, 0x7d]],
    ['an overlong slash', [0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d]],
    ['a surrogate in UTF-8', [0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d]],
    ['a character cut short', [0x7b, 0x22, 0xe2, 0x82, 0x22, 0x7d]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('refuses %s as invalid UTF-8', (_, bytes) => {
    expect(failure(() => parseBody(Buffer.from(bytes))).code).toBe('INVALID_UTF8')
  })

  it('refuses a byte order mark, which some parsers skip and some do not', () => {
    expect(failure(() => parseBody(Buffer.from('\ufeff{}'))).code).toBe('INVALID_JSON')
  })

  it.each(['', ' ', '{', '{"a":1', '{"a":"x', '{}{}', '{"a":NaN}', "{'a':1}", '{"a":1,}', '{"a":01}', '{"a":"\n"}'])(
    'refuses %j as invalid JSON',
    (text) => {
      expect(failure(() => parseBody(Buffer.from(text))).code).toBe('INVALID_JSON')
    },
  )

  it.each(['[]', '"x"', '1', 'true', 'null', '[{"model":"m"}]'])('refuses %s, which is no object', (text) => {
    expect(failure(() => parseBody(Buffer.from(text)))).toEqual({
      code: 'INVALID_JSON',
      message: 'the request body must be a JSON object',
    })
  })

  it('refuses every body that is cut short', () => {
    const whole = '{"messages":[{"role":"user","content":"a\\u00e9\\n"}],"n":1.5e3,"stream":true,"x":null}'
    for (let end = 0; end < whole.length; end++) {
      expect(failure(() => parseBody(Buffer.from(whole.slice(0, end)))).code).toBe('INVALID_JSON')
    }
  })

  it('takes nesting up to the bound and refuses one level more, in objects and in lists', () => {
    expect(parseBody(Buffer.from(nested(MAX_DEPTH)))).toHaveProperty('a')
    expect(failure(() => parseBody(Buffer.from(nested(MAX_DEPTH + 1)))).code).toBe('BODY_TOO_DEEP')
    const lists = (levels: number) => Buffer.from(`{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`)
    expect(parseBody(lists(MAX_DEPTH))).toHaveProperty('a')
    expect(failure(() => parseBody(lists(MAX_DEPTH + 1))).code).toBe('BODY_TOO_DEEP')
  })

  it('refuses a million nested brackets quickly and without a crash', () => {
    const started = performance.now()
    const many = 1_000_000

    expect(failure(() => parseBody(Buffer.from(`{"a":${'['.repeat(many)}${']'.repeat(many)}}`))).code).toBe(
      'BODY_TOO_DEEP',
    )
    expect(failure(() => parseBody(Buffer.from('{"a":'.repeat(many)))).code).toBe('INVALID_JSON')
    expect(failure(() => parseBody(Buffer.from('['.repeat(many)))).code).toBe('INVALID_JSON')
    expect(performance.now() - started).toBeLessThan(15_000)
  })

  it('takes a member named __proto__ for a member, and nothing of it for a field', () => {
    const body = parseBody(Buffer.from('{"__proto__":{"priority":1}}'))

    expect(body.priority).toBeUndefined()
    expect(Object.keys(body)).toEqual(['__proto__'])
  })

  it('tells where JSON is wrong, by a number alone', () => {
    expect(failure(() => parseBody(Buffer.from('{"a":"my secret","b":1,}'))).message).toBe(
      'the request body is not valid JSON: something is wrong at character 23',
    )
    expect(failure(() => parseBody(Buffer.from(''))).message).toBe(
      'the request body is not valid JSON: it ends too early',
    )
  })

  // V8 quotes short input whole, so words of the prompt that looked like its own were taken for its own.
  it('does not take the words of the prompt for those of the parser', () => {
    expect(failure(() => parseBody(Buffer.from('at position 4711'))).message).toBe('the request body is not valid JSON')
    expect(failure(() => parseBody(Buffer.from('x Unexpected end'))).message).toBe('the request body is not valid JSON')
  })

  it('never quotes the input in an error', () => {
    const secret = fc.string({ unit: fc.constantFrom('q', 'z', '7', '{', '"', ' ', ':', '\\', 'at position 9') })
    fc.assert(
      fc.property(secret, fc.nat(40), (noise, cut) => {
        const text = `{"messages":"zqzq7","b":${noise}}`.slice(0, 24 + cut)
        let message = ''
        try {
          parseBody(Buffer.from(text))
        } catch (thrown) {
          message = thrown instanceof CwmError ? thrown.message : 'another error'
        }
        expect(message).toMatch(
          /^(|the request body (is not valid JSON(|: it ends too early|: something is wrong at character \d+)|must be a JSON object))$/,
        )
      }),
      { numRuns: 500, seed: 1 },
    )
  })
})

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
    ['deflate, gzip', gzipSync(deflateSync(text))],
    ['gzip, identity', gzipSync(text)],
  ])('undoes %j', async (encoding, bytes) => {
    expect((await decodeBytes(bytes, encoding, 1024)).toString()).toBe('{"model":"m"}')
  })

  it.each(['zstd', 'compress', 'gzip;q=1', 'constructor', '__proto__', 'gzip, gzip, gzip'])(
    'refuses the encoding %j',
    async (encoding) => {
      expect((await rejection(decodeBytes(gzipSync(text), encoding, 1024))).code).toBe('UNSUPPORTED_ENCODING')
    },
  )

  it.each([
    ['gzip', gzipSync(text).subarray(0, 20)],
    ['gzip', text],
    ['br', text],
    ['deflate', gzipSync(text)],
  ])('refuses what is not whole and valid %s', async (encoding, bytes) => {
    expect(await rejection(decodeBytes(bytes, encoding, 1024))).toEqual({
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

    expect((await rejection(decodeBytes(bomb, encoding, 64 * 1024))).code).toBe('BODY_TOO_LARGE')
  })

  it('refuses a bomb within a bomb, at either layer', async () => {
    const twice = gzipSync(gzipSync(Buffer.alloc(4 * 1024 * 1024)))

    expect((await rejection(decodeBytes(twice, 'gzip, gzip', 64 * 1024))).code).toBe('BODY_TOO_LARGE')
  })

  it('takes what unpacks to exactly the bound', async () => {
    expect((await decodeBytes(gzipSync(Buffer.alloc(1024)), 'gzip', 1024)).length).toBe(1024)
    expect((await rejection(decodeBytes(gzipSync(Buffer.alloc(1025)), 'gzip', 1024))).code).toBe('BODY_TOO_LARGE')
  })

  it('does not send an unknown name back', async () => {
    expect((await rejection(decodeBytes(text, 'q'.repeat(5000), 1024))).message).toBe(
      'this content-encoding is not supported; send gzip, deflate, br or none, two of them at most',
    )
  })
})

describe('readBytes', () => {
  const closers: (() => void)[] = []
  afterEach(() => {
    for (const close of closers.splice(0)) close()
  })

  /** What readBytes makes of one request. `send` writes it on a socket. */
  async function read(maxBytes: number, send: (port: number) => void): Promise<string> {
    return await new Promise((resolve) => {
      const server = createServer((request: IncomingMessage, response) => {
        readBytes(request, maxBytes).then(
          (bytes) => resolve(`${bytes.length} bytes`),
          (thrown: unknown) => resolve(thrown instanceof CwmError ? thrown.code : 'another error'),
        )
        request.once('close', () => response.destroy())
      })
      closers.push(() => {
        server.closeAllConnections()
        server.close()
      })
      server.listen(0, '127.0.0.1', () => send((server.address() as AddressInfo).port))
    })
  }

  function post(headers: Record<string, string>, chunks: readonly Buffer[]) {
    return (port: number) => {
      const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', headers })
      request.on('error', () => {})
      for (const chunk of chunks) request.write(chunk)
      request.end()
    }
  }

  function raw(text: string, end: boolean) {
    return (port: number) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(text)
        if (end) socket.end()
      })
      socket.on('error', () => {})
      closers.push(() => socket.destroy())
    }
  }

  it('reads a body of exactly the bound, with a length or chunked', async () => {
    expect(await read(1000, post({ 'content-length': '1000' }, [Buffer.alloc(1000)]))).toBe('1000 bytes')
    expect(await read(1000, post({}, [Buffer.alloc(400), Buffer.alloc(600)]))).toBe('1000 bytes')
  })

  it('refuses by the announced length before a byte has come', async () => {
    expect(await read(1000, raw('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n', false))).toBe(
      'BODY_TOO_LARGE',
    )
  })

  it('refuses a chunked body as soon as it is past the bound, although it has not ended', async () => {
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'

    expect(await read(1000, raw(`${head}3e9\r\n${'x'.repeat(1001)}\r\n`, false))).toBe('BODY_TOO_LARGE')
  })

  it('says that the client is gone when the body ends before its length', async () => {
    expect(await read(1000, raw('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc', true))).toBe(
      'CLIENT_GONE',
    )
  })

  it('reads an empty body as no bytes', async () => {
    expect(await read(1000, post({ 'content-length': '0' }, []))).toBe('0 bytes')
  })
})
