// SDKs before a rate limit, with their own retries: they wait as long as Retry-After says, then succeed; and what they throw without a retry.
// The clock of cwm stands still unless a test moves it. That of an SDK does not, so Retry-After is brought down to one second first.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ask } from '../support/client.ts'
import { noPythonSdks, python } from '../support/python.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  stack = await startStack({ settings: { requests_per_minute: 1 } })
})
afterEach(async () => {
  await stack.close()
  vi.useRealTimers()
})

const apiKey = 'key-of-all'
const body = { model: 'sim-model', max_tokens: 5, messages: [{ role: 'user' as const, content: 'Hi' }] }
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms)

/** Uses up the limit, and waits until one second before the next request fits. */
async function exhaust(): Promise<void> {
  const send = () => ask(stack.url, '/v1/chat/completions', { body, headers: { authorization: `Bearer ${apiKey}` } })
  const waitS = async () => Number((await send()).headers['retry-after'])
  await send()
  pass(30_000)
  pass(((await waitS()) - 1) * 1000)
  expect(await waitS()).toBe(1)
}

/** `fetch` that moves cwm's clock while the SDK waits after a rejection, and notes when each request was sent. */
function watched() {
  const statuses: number[] = []
  const sentAt: number[] = []
  const send: typeof fetch = async (input, init) => {
    sentAt.push(performance.now())
    const answer = await fetch(input, init)
    statuses.push(answer.status)
    if (answer.status === 429) pass(1_000)
    return answer
  }
  /** Between the first request and the second. */
  const waitedMs = () => (sentAt[1] ?? 0) - (sentAt[0] ?? 0)
  return { send, statuses, waitedMs }
}

const calls: [name: string, call: (options: { maxRetries?: number; fetch?: typeof fetch }) => Promise<unknown>][] = [
  ['openai', (options) => new OpenAI({ baseURL: `${stack.url}/v1`, apiKey, ...options }).chat.completions.create(body)],
  ['@anthropic-ai/sdk', (options) => new Anthropic({ baseURL: stack.url, apiKey, ...options }).messages.create(body)],
]

describe.each(calls)('%s for Node', (_, call) => {
  it('waits for Retry-After, and succeeds with its first retry', async () => {
    await exhaust()
    const { send, statuses, waitedMs } = watched()

    await call({ fetch: send })

    expect(statuses).toEqual([429, 200])
    // Without the header, the first retry would come within half a second.
    expect(waitedMs()).toBeGreaterThanOrEqual(990)
  })

  it('throws an error with the time to wait when it gives up', async () => {
    await exhaust()

    const error = await call({ maxRetries: 0 }).catch((thrown: unknown) => thrown)

    expect(error).toBeInstanceOf(Error)
    const { name, status, headers, message } = failureOf(error)
    expect([name, status, headers.get('retry-after')]).toEqual(['RateLimitError', 429, '1'])
    expect(message).toContain('requests_per_minute is 1, 1 are used. Try again in 1 s')
  })
})

/** What an application sees of an error of an SDK. */
function failureOf(error: unknown) {
  const { status, headers, message } = error as { status: number; headers: Headers; message: string }
  return { name: (error as object).constructor.name, status, headers, message }
}

/** Prints what the SDK does: its own log lines on standard error, the result as JSON on standard output. */
const script = `
import json, sys
name, url, retries = sys.argv[1], sys.argv[2], int(sys.argv[3])
body = {'model': 'sim-model', 'max_tokens': 5, 'messages': [{'role': 'user', 'content': 'Hi'}]}
try:
    if name == 'openai':
        import openai as sdk
        sdk.OpenAI(base_url=url + '/v1', api_key='${apiKey}', max_retries=retries).chat.completions.create(**body)
    else:
        import anthropic as sdk
        sdk.Anthropic(base_url=url, api_key='${apiKey}', max_retries=retries).messages.create(**body)
    print(json.dumps({'ok': True}))
except Exception as e:
    print(json.dumps({
        'type': type(e).__name__, 'status': e.status_code, 'message': e.message, 'retry_after': e.response.headers['retry-after'],
    }))
`

function start(name: string, retries: number): ChildProcess {
  const env = { ...process.env, OPENAI_LOG: 'info', ANTHROPIC_LOG: 'info' }
  return spawn(python, ['-c', script, name, stack.url, String(retries)], { env })
}

/** The result, and after how many seconds the SDK said that it retries. Moves cwm's clock then. */
async function resultOf(child: ChildProcess) {
  const waits: number[] = []
  let out = ''
  let err = ''
  child.stdout?.on('data', (text) => {
    out += text
  })
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      err += `${line}\n`
      const [, seconds] = /Retrying request (?:to \S+ )?in ([\d.]+) seconds/.exec(line) ?? []
      if (seconds === undefined) return
      waits.push(Number(seconds))
      pass(1_000)
    })
  }
  await once(child, 'close')
  if (out === '') throw new Error(err)
  return { waits, result: JSON.parse(out) as Record<string, unknown> }
}

describe.skipIf(noPythonSdks).each(['openai', 'anthropic'])('%s for Python', (name) => {
  it('waits for Retry-After, and succeeds with its first retry', async () => {
    await exhaust()

    const { waits, result } = await resultOf(start(name, 2))

    expect([waits, result]).toEqual([[1], { ok: true }])
  })

  it('raises RateLimitError with the time to wait when it gives up', async () => {
    await exhaust()

    const { waits, result } = await resultOf(start(name, 0))

    expect(waits).toEqual([])
    expect(result).toMatchObject({ type: 'RateLimitError', status: 429, retry_after: '1' })
    expect(result.message).toContain('requests_per_minute is 1, 1 are used. Try again in 1 s')
  })
})
