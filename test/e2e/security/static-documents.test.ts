// Documents that need no key: their cost does not grow with the number of requests. The tests count builds, not time.

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openApiText } from '../../../src/api/openapi.ts'
import { restModel } from '../../../src/dashboard/rest-model.ts'
import { RestPage } from '../../../src/dashboard/rest-page.tsx'
import { ask } from '../../support/client.ts'
import { type Cwm, startCwm } from '../../support/stack.ts'

vi.mock('../../../src/api/openapi.ts', async (original) => {
  const real = await original<{ openApiText: typeof openApiText }>()
  return { ...real, openApiText: vi.fn(real.openApiText) }
})
vi.mock('../../../src/dashboard/rest-model.ts', async (original) => {
  const real = await original<{ restModel: typeof restModel }>()
  return { ...real, restModel: vi.fn(real.restModel) }
})
vi.mock('../../../src/dashboard/rest-page.tsx', async (original) => {
  const real = await original<{ RestPage: typeof RestPage }>()
  return { ...real, RestPage: vi.fn(real.RestPage) }
})

const documents = ['/cwm/openapi.json', '/cwm/ui/rest', '/cwm/ui/login'] as const

let cwm: Cwm
beforeAll(async () => {
  cwm = await startCwm('http://127.0.0.1:9')
})
afterAll(async () => {
  await cwm.close()
})

describe('documents that need no key', () => {
  it('are built once, by however many connections they are requested', async () => {
    const rounds = documents.flatMap((path) => Array.from({ length: 16 }, () => path))

    const answers = await Promise.all(rounds.map((path) => ask(cwm.url, path)))

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    // Once for the document itself, once for the page derived from it.
    expect(openApiText).toHaveBeenCalledTimes(2)
    expect(restModel).toHaveBeenCalledTimes(1)
    expect(RestPage).toHaveBeenCalledTimes(1)
  })

  it.each(documents)('are not sent again to clients that have them: %s', async (path) => {
    const first = await ask(cwm.url, path)
    const headers = { 'if-none-match': first.headers.etag }

    const second = await ask(cwm.url, path, { headers })
    const head = await ask(cwm.url, path, { method: 'HEAD' })

    expect([second.status, second.text, second.headers.etag]).toEqual([304, '', first.headers.etag])
    expect([head.status, head.headers.etag, head.headers['content-length']]).toEqual([
      200,
      first.headers.etag,
      String(first.body.length),
    ])
  })

  it('have assets that are not sent again either', async () => {
    const { text } = await ask(cwm.url, '/cwm/ui/windows')
    const path = /\/cwm\/ui\/assets\/\w+\/dashboard\.js/.exec(text)?.[0] ?? ''
    const { headers } = await ask(cwm.url, path)

    const again = await ask(cwm.url, path, { headers: { 'if-none-match': headers.etag } })

    expect([headers['content-type'], again.status, again.headers['cache-control']]).toEqual([
      'text/javascript; charset=utf-8',
      304,
      'public, max-age=31536000, immutable',
    ])
  })
})
