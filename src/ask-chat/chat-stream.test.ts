import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { ChatStream } from './chat-stream.ts'

class Written extends EventEmitter {
  text = ''
  status = 0
  state: 'open' | 'ended' | 'broken' = 'open'

  writeHead(status: number): void {
    this.status = status
  }
  write(text: string, done?: () => void): boolean {
    this.text += text
    done?.()
    return true
  }
  end(text: string): void {
    this.text += text
    this.state = 'ended'
  }
  destroy(): void {
    this.state = 'broken'
    this.emit('close')
  }
  /** What was written, without the parts that all chunks have. */
  get said(): unknown[] {
    return [...this.text.matchAll(/^(?:data: (.*)|: (.*))$/gm)].map(([, data, comment]) => {
      if (data === undefined) return comment
      if (data === '[DONE]') return data
      const { choices, usage, error } = JSON.parse(data) as Record<string, [{ delta: object; finish_reason: string }]>
      return error ?? usage ?? choices?.[0].finish_reason ?? choices?.[0].delta
    })
  }
}

const head = { id: 'chatcmpl-1', created: 7, model: 'ask:law' }
let response: Written
const open = () => new ChatStream(response as unknown as ServerResponse, head, {})
beforeEach(() => {
  vi.useFakeTimers()
  response = new Written()
})
afterEach(() => vi.useRealTimers())

it('begins at once, and sends pieces as chunks of one completion', () => {
  const stream = open()
  expect(response.said).toEqual([{ role: 'assistant', content: '' }])

  stream.reasoning('one: found\n')
  stream.text('Ann')
  stream.end('stop', { promptTokens: 3, completionTokens: 2, cachedTokens: 1 })

  expect(response.said.slice(1)).toEqual([
    { reasoning: 'one: found\n' },
    { content: 'Ann' },
    'stop',
    { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, prompt_tokens_details: { cached_tokens: 1 } },
    '[DONE]',
  ])
  for (const [, data] of response.text.matchAll(/^data: ({.*)$/gm)) {
    expect(JSON.parse(data ?? '')).toMatchObject({ ...head, object: 'chat.completion.chunk' })
  }
  expect(response.state).toBe('ended')
})

it('sends no usage that nobody asked for', () => {
  const stream = open()
  stream.end('length', undefined)

  expect(response.said.slice(1)).toEqual(['length', '[DONE]'])
})

it('sends a comment every 15 seconds until it ends, or its client leaves', () => {
  const stream = open()
  vi.advanceTimersByTime(31_000)
  expect(response.said.slice(1)).toEqual(['keep-alive', 'keep-alive'])

  stream.end('stop', undefined)
  expect(vi.getTimerCount()).toBe(0)

  response = new Written()
  open()
  response.emit('close')
  expect(vi.getTimerCount()).toBe(0)
})

it('reports a failure as an error event, and breaks the connection', () => {
  const stream = open()
  stream.text('An')
  stream.fail(new CwmError('UPSTREAM_BROKEN', 'it broke'))

  expect(response.said.at(-1)).toMatchObject({ message: 'it broke', code: 'upstream_broken' })
  expect(response.text).not.toContain('[DONE]')
  expect(response.state).toBe('broken')
  expect(vi.getTimerCount()).toBe(0)
})
