import { describe, expect, it } from 'vitest'
import { textLine } from './log-text.ts'

const time = '2026-01-02T03:04:05.006Z'
const textOf = (fields: object, isColored = false) =>
  textLine(`${JSON.stringify({ level: 'info', time, ...fields })}\n`, isColored)

describe('a log line as text', () => {
  it('has time, level, message and fields, on one line', () => {
    const text = textOf({ route: '/v1/models', status: 200, model: 'two words', turn: { ok: 1 }, msg: 'request' })

    expect(text).toBe(`${time} INFO  request route=/v1/models status=200 model="two words" turn={"ok":1}\n`)
  })

  it('cannot look like two lines, or control the terminal', () => {
    const text = textOf({ model: 'a\n2026 INFO ready', name: '\x1b[2J\x9b2J\u202Eb', msg: 'a\r\nb' })

    expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(text).toContain(String.raw`a\u000d\u000ab model="a\n2026 INFO ready" name="\u001b[2J\u009b2J\u202eb"`)
  })

  it('shows an error with its causes, and its stack on the lines below', () => {
    const err = { code: 'INTERNAL', message: 'no', cause: { message: 'disk' }, stack: 'Error: no\n    at f (a.js:1)' }

    expect(textOf({ level: 'error', err, msg: 'failed' })).toBe(
      `${time} ERROR failed code=INTERNAL err="no: disk"\n      at f (a.js:1)\n`,
    )
  })

  it('has colors only on request', () => {
    expect(textOf({ level: 'warn', msg: 'look' }, true)).toContain('\x1b[33mWARN \x1b[0m look')
    expect(textOf({ level: 'warn', msg: 'look' })).not.toContain('\x1b')
  })

  it('is unchanged if it is not a JSON object', () => {
    expect(['words\n', '[1]\n', '3\n'].map((line) => textLine(line, false))).toEqual(['words\n', '[1]\n', '3\n'])
  })
})
