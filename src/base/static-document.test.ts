import { describe, expect, it } from 'vitest'
import { StaticDocument } from './static-document.ts'

const text = (body: Uint8Array | null) => (body === null ? null : Buffer.from(body).toString('utf8'))

describe('a static document', () => {
  it('is built once for concurrent and later requests', async () => {
    let builds = 0
    const document = new StaticDocument('text/plain', async () => `build ${++builds}`)

    const together = await Promise.all(Array.from({ length: 20 }, () => document.answer(undefined)))
    const later = await document.answer(undefined)

    expect(new Set([...together, later].map(({ body }) => text(body)))).toEqual(new Set(['build 1']))
    expect(builds).toBe(1)
  })

  it('is sent with its type, its length in bytes, and a tag', async () => {
    const answer = await new StaticDocument('text/html', () => 'é').answer(undefined)

    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/html', 'content-length': '2', 'cache-control': 'no-cache' },
    })
    expect(answer.headers.etag).toMatch(/^"[\w-]{22}"$/)
  })

  it.each([
    ['the tag itself', (tag: string) => tag, 304],
    ['a weak form of it', (tag: string) => `W/${tag}`, 304],
    ['a list with it', (tag: string) => `"other", ${tag}`, 304],
    ['any', () => '*', 304],
    ['another tag', () => '"other"', 200],
    ['a longer one', (tag: string) => `"x${tag.slice(1)}`, 200],
  ] as const)('is not sent again to a client that names only %s: %#', async (_, header, status) => {
    const document = new StaticDocument('text/plain', () => 'words')
    const tag = (await document.answer(undefined)).headers.etag ?? ''

    const answer = await document.answer(header(tag))

    expect([answer.status, text(answer.body)]).toEqual([status, status === 304 ? null : 'words'])
    expect(answer.headers.etag).toBe(tag)
  })

  it('is built again after a failed build', async () => {
    let builds = 0
    const document = new StaticDocument('text/plain', () => {
      if (++builds === 1) throw new Error('no file')
      return 'there'
    })

    await expect(document.answer(undefined)).rejects.toThrow('no file')
    expect(text((await document.answer(undefined)).body)).toBe('there')
  })
})
