import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bytesIn, cpuBetween, cpuOf } from './system.mjs'

describe('CPU time between two readings', () => {
  it('sums the growth of each thread, all of a new one, and nothing of one that ended', () => {
    const before = new Map([
      ['main', 5_000],
      ['ended', 90_000],
    ])
    const after = new Map([
      ['main', 7_000],
      ['began', 1_000],
    ])

    expect(cpuBetween(before, after)).toBe(3)
  })

  it('is unknown if the system has no such data', () => {
    expect(cpuBetween(new Map(), new Map())).toBeUndefined()
  })

  it.runIf(process.platform === 'linux')('includes worker threads', async () => {
    const before = cpuOf([process.pid])
    const until = 'const end = process.hrtime.bigint() + 100_000_000n; while (process.hrtime.bigint() < end);'
    const burns = `${until} require('node:worker_threads').parentPort.once('message', () => {}).postMessage('done')`
    const worker = new Worker(burns, { eval: true })
    await once(worker, 'message')
    const after = cpuOf([process.pid])
    await worker.terminate()

    const began = [...after].filter(([thread]) => !before.has(thread)).map(([, nanoseconds]) => nanoseconds)
    expect(Math.max(...began)).toBeGreaterThan(10_000_000)
    expect(cpuBetween(before, after)).toBeGreaterThan(10_000)
  })
})

it('sums the sizes of all files in a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cwm-bytes-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'below'))
  writeFileSync(join(folder, 'one'), 'x'.repeat(1_000))
  writeFileSync(join(folder, 'below', 'two'), 'y'.repeat(30))

  expect(bytesIn(folder)).toBe(1_030)
})
