// The setting `affinity`: which values it takes, and which headers they stand for.

import { describe, expect, it } from 'vitest'
import { readAffinity } from './affinity.ts'

describe('the setting affinity', () => {
  it('stands for no header if it is none', () => {
    expect(readAffinity('none')).toBeUndefined()
  })

  it.each([
    ['vllm-router', ['x-session-id'], true],
    ['llm-d', ['x-session-id', 'x-llm-d-inference-fairness-id'], undefined],
    ['dynamo', ['x-dynamo-session-id'], undefined],
    ['aibrix', ['x-aibrix-session-key'], undefined],
    ['header:X-Flow-Key', ['x-flow-key'], undefined],
  ])('%s stands for %j', (setting, names, finish) => {
    const affinity = readAffinity(setting)

    expect([...(affinity?.names ?? [])]).toEqual(names)
    expect(affinity?.header).toBe(names[0])
    expect(affinity?.finish).toBe(finish)
  })

  it.each([
    '',
    'nginx',
    'header:',
    'header:a b',
    'header:x\r\ny',
    `header:${'x'.repeat(65)}`,
    'header:Authorization',
    'header:x-api-key',
    'header:Content-Length',
    'header:Cookie',
    'header:Host',
    'header:x-cwm-session',
    'header:X-Forwarded-For',
    'constructor',
    'toString',
  ])('is refused as %j', (setting) => {
    expect(readAffinity(setting)).toBeNull()
  })
})
