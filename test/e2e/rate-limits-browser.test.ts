// What an app in a browser, on another origin than cwm, can read of its rate limits: Chromium decides, by the CORS headers.

import type { ServerResponse } from 'node:http'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser, noBrowser, openPage } from '../support/browser.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

/** The CORS headers of vLLM, whose default allows every page. */
const cors = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT',
  'access-control-allow-headers': 'authorization, content-type, x-api-key, anthropic-version',
}

function answer(response: ServerResponse, method: string, url: string): void {
  if (method === 'OPTIONS') response.writeHead(200, cors).end('OK')
  else if (method === 'GET')
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>App</title>')
  else {
    const usage =
      url === '/v1/messages' ? { input_tokens: 5, output_tokens: 1 } : { prompt_tokens: 5, completion_tokens: 1 }
    response.writeHead(200, { ...cors, 'content-type': 'application/json' }).end(JSON.stringify({ model: 'm', usage }))
  }
}

describe.skipIf(noBrowser)('an app in a browser', () => {
  let browser: Browser
  let engine: FakeUpstream
  let cwm: Cwm
  beforeAll(async () => {
    engine = await startFakeUpstream(({ method, target }, response) => answer(response, method, target))
    cwm = await startCwm(engine.url, { requests_per_minute: 1, tokens_per_minute: 9_000 })
    browser = await launchBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await cwm?.close()
    await engine?.close()
  })

  it.each([
    [
      '/v1/chat/completions',
      ['x-ratelimit-limit-requests', 'x-ratelimit-remaining-requests', 'x-ratelimit-reset-tokens'],
    ],
    [
      '/v1/messages',
      [
        'anthropic-ratelimit-requests-limit',
        'anthropic-ratelimit-requests-remaining',
        'anthropic-ratelimit-tokens-reset',
      ],
    ],
  ])('reads what is left of its limits, and how long to wait: %s', async (path, names) => {
    const { page, context } = await openPage(browser)
    // The page's origin is that of the fake engine; cwm's is another one.
    await page.goto(`${engine.url}/app`)

    const [accepted, rejected] = await page.evaluate(readTwice, { url: cwm.url + path, key: `key-of-${path}`, names })

    await context.close()
    expect(accepted).toEqual({ status: 200, values: ['1', '0', expect.stringMatching(/\d/)], retryAfter: null })
    expect(rejected).toEqual({
      status: 429,
      values: ['1', '0', expect.stringMatching(/\d/)],
      retryAfter: expect.stringMatching(/^(60|5\d)$/),
    })
  })
})

interface Reading {
  readonly url: string
  readonly key: string
  readonly names: readonly string[]
}

/** Runs in the page. */
async function readTwice({ url, key, names }: Reading) {
  const seen = []
  for (let n = 0; n < 2; n++) {
    const { status, headers } = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }),
    })
    seen.push({ status, values: names.map((name) => headers.get(name)), retryAfter: headers.get('retry-after') })
  }
  return seen
}
