// `/` redirects browsers to the dashboard. Other clients get the proxy's answer.

import { afterEach, expect, it } from 'vitest'
import { type Stack, startStack } from '../../support/stack.ts'

let stack: Stack
afterEach(() => stack.close())

const chromium = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'
const get = (accept: string, path = '/', method = 'GET') =>
  fetch(stack.url + path, { method, headers: { accept }, redirect: 'manual' })

it('redirects a browser to the dashboard', async () => {
  stack = await startStack()

  const got = await get(chromium)

  expect([got.status, got.headers.get('location')]).toEqual([302, '/cwm/ui'])
})

it.each([
  ['*/*', '/', 'GET'],
  ['application/json', '/', 'GET'],
  ['application/json, text/html;q=0.5', '/', 'GET'],
  [chromium, '/', 'POST'],
  [chromium, '/other', 'GET'],
])('does not redirect other clients: accept %s, %s, %s', async (accept, path, method) => {
  stack = await startStack()

  expect((await get(accept, path, method)).status).toBe(404)
})

it('does not redirect if the dashboard is off', async () => {
  stack = await startStack({ settings: { dashboard: false } })

  expect((await get(chromium)).status).toBe(404)
})
