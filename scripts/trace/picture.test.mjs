import { expect, it } from 'vitest'
import { picture } from './picture.mjs'

const request = {
  ...{
    traceId: 'abc',
    spanId: '1',
    parentSpanId: '0',
    name: 'chat <m>',
    kind: 2,
    startMs: 1_000,
    endMs: 1_400,
    failed: false,
  },
  attributes: { 'http.response.status_code': 499, 'cwm.tenant': 'k-1' },
}
const stream = {
  ...{
    traceId: 'abc',
    spanId: '3',
    parentSpanId: '1',
    name: 'stream',
    kind: 1,
    startMs: 1_200,
    endMs: 1_400,
    failed: true,
  },
  attributes: { 'error.type': 'client_gone' },
}
const wait = {
  ...stream,
  spanId: '2',
  name: 'upstream wait',
  startMs: 1_000,
  endMs: 1_200,
  failed: false,
  attributes: {},
}

it('draws a bar for each span in the order of their starts, and what is known of the request', () => {
  const svg = picture([stream, wait, request])

  const names = [...svg.matchAll(/<text x="8" y="\d+">([^<]*)</g)].map(([, name]) => name)
  expect(names).toEqual(['chat &lt;m>', 'upstream wait', 'stream'])
  expect(svg.match(/<rect /g)).toHaveLength(3)
  expect(svg).toContain('>200 ms client_gone<')
  expect(svg).toContain('>http.response.status_code = 499<')
  expect(svg).not.toContain('k-1')
})

it('rejects spans without a request', () => {
  expect(() => picture([stream])).toThrow('the collector received no request')
})
