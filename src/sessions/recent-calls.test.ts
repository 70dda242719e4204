import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import { toolOf } from '../base/tool-names.ts'
import { dialects, rulesOf } from '../dialects/index.ts'
import { RecentCalls } from './recent-calls.ts'

const args = { window_name: 'w', tags: ['a', 'b'] }
const text = JSON.stringify(args)
const name = 'mcp__cwm__window_freeze'

const noon = 1_800_000_000_000

describe('RecentCalls', () => {
  it.each([
    ['chat', { role: 'assistant', tool_calls: [{ type: 'function', function: { name, arguments: text } }] }],
    [
      'messages',
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'so' },
          { type: 'tool_use', name, input: args },
        ],
      },
    ],
    ['responses', { type: 'function_call', name, arguments: text }],
  ])('knows a call of %s, its arguments in any order', (dialect, message) => {
    const calls = new RecentCalls(() => noon)

    calls.record('acme', 'ann', rulesOf(dialect).toolCalls(message))

    expect(calls.find('acme', 'window_freeze', { tags: ['a', 'b'], window_name: 'w' })).toEqual(['ann'])
    expect(calls.find('acme', 'window_freeze', { tags: ['b', 'a'], window_name: 'w' })).toEqual([])
    expect(calls.find('acme', 'window_thaw', args)).toEqual([])
    expect(calls.find('other', 'window_freeze', args)).toEqual([])
  })

  it('returns each session once, newest first, and at most eight', () => {
    const calls = new RecentCalls(() => noon)
    const call = { name, arguments: text }

    for (const session of ['a', 'b', 'a']) calls.record('acme', session, [call])
    expect(calls.find('acme', 'window_freeze', args)).toEqual(['a', 'b'])
    for (let i = 0; i < 20; i++) calls.record('acme', `s${i}`, [call])
    expect(calls.find('acme', 'window_freeze', args)).toHaveLength(8)
  })

  it('forgets a call after ten minutes', () => {
    let now = noon
    const calls = new RecentCalls(() => now)
    calls.record('acme', 'ann', [{ name, arguments: text }])

    now += 600_001

    expect(calls.find('acme', 'window_freeze', args)).toEqual([])
  })

  it("keeps a tenant's calls when another makes more than are remembered", () => {
    const calls = new RecentCalls(() => noon)
    calls.record('honest', 'ann', [{ name, arguments: text }])

    for (let n = 0; n < 10_100; n++) {
      calls.record('junk', 's', [{ name, arguments: JSON.stringify({ window_name: `w${n}` }) }])
    }

    expect(calls.find('honest', 'window_freeze', args)).toEqual(['ann'])
    expect(calls.find('junk', 'window_freeze', { window_name: 'w100' })).toEqual([])
    expect(calls.find('junk', 'window_freeze', { window_name: 'w101' })).toEqual(['s'])
  })

  it.each([
    ['a text', 'hello'],
    ['null', null],
    ['calls that are none', { tool_calls: 'x', content: [{ type: 'tool_use' }, null, 7] }],
    ['a call without a name', { tool_calls: [{ function: { arguments: text } }] }],
    ['arguments that are cut', { tool_calls: [{ function: { name, arguments: '{"window_na' } }] }],
  ])('lets %s pass', (_, message) => {
    const calls = new RecentCalls(() => noon)

    calls.record(
      'acme',
      'ann',
      dialects.flatMap(({ toolCalls }) => toolCalls(message as JsonValue)),
    )

    expect(calls.find('acme', 'window_freeze', args)).toEqual([])
  })
})

describe('toolOf', () => {
  it.each([
    ['window_freeze', 'window_freeze'],
    ['mcp__cwm__window_freeze', 'window_freeze'],
    ['cwm.session_list', 'session_list'],
    ['mywindow_freeze', undefined],
    ['window_freeze_now', undefined],
  ])('%s is %s', (given, tool) => {
    expect(toolOf(given)).toBe(tool)
  })
})
