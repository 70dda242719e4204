import { describe, expect, it } from 'vitest'
import { accountingFaults } from './accounting.mjs'
import { readLog } from './proxy.mjs'
import { allowedStallMs, Stalls } from './stalls.mjs'

const MIB = 1024 * 1024

const metrics = ({ chats = 5, errors = 2, timed = 7, open = 0, files = 20 } = {}) =>
  [
    `cwm_requests_total{route="/v1/chat/completions",status="200"} ${chats}`,
    'cwm_requests_total{route="/v1/models",status="200"} 0',
    `cwm_requests_total{route="other",status="400"} ${errors}`,
    `cwm_request_seconds_count{route="/v1/chat/completions"} ${timed}`,
    `cwm_requests_in_flight ${open}`,
    'cwm_body_bytes 0',
    'cwm_slots_in_use 0',
    'cwm_requests_queued 0',
    `process_open_fds ${files}`,
  ].join('\n')

const right = {
  before: metrics(),
  after: metrics(),
  byStatus: new Map([
    ['200', 5],
    ['400', 2],
  ]),
}

describe('the books', () => {
  it('match numbers that agree', () => {
    expect(accountingFaults(right)).toEqual([])
  })

  it.each([
    ['a request that was not counted', { after: metrics({ chats: 4, timed: 6 }) }, 'counts 4, the log 5'],
    ['a status missing in the log', { byStatus: new Map([['200', 5]]) }, 'counts 2, the log 0'],
    ['a request that was not timed', { after: metrics({ timed: 6 }) }, 'cwm_request_seconds_count 6'],
    ['a request that never ended', { after: metrics({ open: 1 }) }, 'cwm_requests_in_flight is 1'],
    ['sockets that stay open', { after: metrics({ files: 40 }) }, '20 more open files'],
  ])('find %s', (_, change, words) => {
    expect(accountingFaults({ ...right, ...change })).toEqual([expect.stringContaining(words)])
  })
})

describe('the log', () => {
  const request = (status) => JSON.stringify({ level: 30, msg: 'request', route: 'other', status })

  it('is counted by status, and has no errors in a good run', async () => {
    const read = await readLog([request(200), request(200), request(499), 'ready   http://127.0.0.1:1/v1'])

    expect([...read.byStatus]).toEqual([
      ['200', 2],
      ['499', 1],
    ])
    expect(read).toMatchObject({ errors: [], errorCount: 0, warnings: 0 })
  })

  it.each([
    '{"level":50,"msg":"request failed"}',
    '{"level":"error","msg":"request failed"}',
    '{"level":30,"msg":"request","route":"other","status":500,"code":"internal"}',
    'Uncaught TypeError: it is not a function',
    '    at Socket.emit (node:events:1:1)',
  ])('shows an error: %s', async (line) => {
    expect(await readLog([line])).toMatchObject({ errors: [line], errorCount: 1 })
  })
})

describe('stalls', () => {
  it('may be 150 ms up to 4 MiB, and 25 ms more for each MiB beyond', () => {
    expect([0, 4 * MIB, 5 * MIB, 14 * MIB].map(allowedStallMs)).toEqual([150, 150, 175, 400])
  })

  it('are kept by their length, and by how close they come to their limit', () => {
    const stalls = new Stalls()

    for (const [ms, mib] of [
      [140, 0],
      [300, 14],
      [160, 1],
      [20, 0],
    ])
      stalls.add({ stallMs: ms, cpuMs: ms }, mib * MIB)
    // CPU time of other processes.
    stalls.add({ stallMs: 290, cpuMs: 9 }, 0)

    expect(stalls).toEqual({
      longest: { stallMs: 300, cpuMs: 300, bytes: 14 * MIB },
      nearest: { stallMs: 160, cpuMs: 160, bytes: MIB },
      over: 1,
    })
  })
})
