// A REST request that ends before its body is complete is nobody's error, so the log has none.

import { once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { sendOn } from '../support/departing-client.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type ServeProcess, startServe } from '../support/serve-process.ts'

let built: BuiltCwm
let upstream: FakeUpstream
let cwm: ServeProcess

beforeAll(async () => {
  built = await buildCwm()
  upstream = await startFakeUpstream(() => {})
  cwm = await startServe(built, { upstream: upstream.url })
})

afterAll(async () => {
  await cwm.dispose()
  await upstream.close()
  await built.dispose()
})

const headOf = (path: string, line: string) =>
  [
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    'Accept: application/json, text/event-stream',
    'Content-Type: application/json',
    line,
    '\r\n',
  ].join('\r\n')

it('is not an error of cwm, whether the client leaves or sends something unparsable', async () => {
  const url = await cwm.ready()
  for (const path of ['/cwm/v1/windows', '/cwm/v1/windows/import', '/cwm/mcp']) {
    const unreadable = await sendOn(url, `${headOf(path, 'Transfer-Encoding: chunked')}3 \r\n{"a\r\n`)
    unreadable.resume()
    await once(unreadable, 'close')
    const leaving = await sendOn(url, headOf(path, 'Content-Length: 100\r\nExpect: 100-continue'))
    // The request has started when its body is requested.
    await once(leaving, 'data')
    leaving.resetAndDestroy()
  }

  cwm.kill('SIGTERM')
  // Everything in progress ends before cwm does.
  expect(await cwm.ended()).toBe(0)

  expect(cwm.log.filter(({ level }) => level === 50 || level === 'error')).toEqual([])
})
