// A question that takes longer than `fetch` would wait, asked through `cwm mcp`.

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { WindowAnswerJson } from '../../src/wire/asks.ts'
import { documentWindow } from '../support/asks.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { within } from '../support/deadline.ts'
import { overStdio } from '../support/mcp.ts'
import { type Stack, startStack } from '../support/stack.ts'

let built: BuiltCwm
let stack: Stack
beforeAll(async () => {
  ;[built, stack] = await Promise.all([buildCwm(), startStack()])
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
})

/**
 * Runs in `cwm mcp` before its own code: shortens the time limit of fetch, which is 300 s, and reports each time that it has passed, until the
 * answer is 204.
 */
const shortenedFetch = (undici: URL) => `
  import { Agent, setGlobalDispatcher } from '${undici.href}'
  setGlobalDispatcher(new Agent({ headersTimeout: 50, bodyTimeout: 50 }))
  const url = process.env.CWM_URL
  const reported = async () => {
    const probe = await fetch(url + '/probe').catch((thrown) => thrown)
    return (await fetch(url + '/passed?code=' + probe.cause?.code)).status !== 204
  }
  void (async () => { while (await reported()) {} })()
`

/** Stands between `cwm mcp` and cwm, and holds the question until fetch would have given up on it. */
async function startHold(cwm: string) {
  const waiting: ServerResponse[] = []
  const codes: (string | null)[] = []
  let isHeld = false
  let probesSinceHeld = 0
  let release = () => {}
  const passed = new Promise<void>((resolve) => {
    release = resolve
  })
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x')
    if (pathname === '/probe') {
      if (isHeld) probesSinceHeld++
      waiting.push(response)
    } else if (pathname === '/passed') {
      codes.push(searchParams.get('code'))
      const isDone = probesSinceHeld > 0
      if (isDone) release()
      response.writeHead(isDone ? 204 : 200).end()
    } else {
      const body = await new Response(request as never).text()
      isHeld = true
      await passed
      const answer = await fetch(cwm + pathname, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      response.writeHead(answer.status, { 'x-cwm-request-id': 'held' }).end(await answer.text())
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, codes, passed, close }
}

it('waits for an answer for longer than fetch would', async () => {
  await documentWindow(stack.url, 'ada')
  stack.sim.script({ content: 'Port-ada' })
  const hold = await startHold(stack.url)
  const undici = pathToFileURL(createRequire(import.meta.url).resolve('undici'))
  const preload = `data:text/javascript,${encodeURIComponent(shortenedFetch(undici))}`
  const agent = await overStdio(built, { CWM_URL: hold.url, NODE_OPTIONS: `--import ${preload}` })
  try {
    const answer = agent.use<WindowAnswerJson>('window_ask', { window_name: 'ada', question: 'Which harbor?' })

    await Promise.all([answer, within('fetch gives up', hold.passed, 30_000)])
    expect(await answer).toMatchObject({ answer: 'Port-ada' })
    expect(new Set(hold.codes)).toEqual(new Set(['UND_ERR_HEADERS_TIMEOUT']))
  } finally {
    await agent.close()
    hold.close()
  }
})
