import { describe, expect, it } from 'vitest'
import { scopeOf } from '../identity/scope.ts'
import { NewestSessions } from './newest.ts'

const chat = scopeOf('t', 'chat', { 'x-openwebui-chat-id': 'c1' }, {})

describe('the newest sessions of a scope', () => {
  it('come newest first, each once', () => {
    const newest = new NewestSessions(10_000)

    for (const id of ['a', 'b', 'a']) newest.record(chat, id)

    expect(newest.of(chat)).toEqual(['a', 'b'])
  })

  it('are at most eight', () => {
    const newest = new NewestSessions(10_000)

    for (let i = 0; i < 9; i++) newest.record(chat, `s${i}`)

    expect(newest.of(chat)).toEqual(['s8', 's7', 's6', 's5', 's4', 's3', 's2', 's1'])
  })

  it('are not recorded if no id narrows the scope', () => {
    const newest = new NewestSessions(10_000)
    const wide = scopeOf('t', 'chat', {}, {})

    newest.record(wide, 'a')

    expect(newest.of(wide)).toEqual([])
  })

  it('are forgotten with the least recently used scope', () => {
    const newest = new NewestSessions(500)
    newest.record(chat, 'a')

    newest.record(scopeOf('t', 'chat', {}, { user: 'u' }), 'b')

    expect(newest.of(chat)).toEqual([])
  })

  it('are not recorded under ids so long that they would displace all others', () => {
    const newest = new NewestSessions(1024 * 1024)
    newest.record(chat, 'a')
    const long = scopeOf('t', 'chat', {}, { user: 'u'.repeat(100_000) })

    newest.record(long, 'b')

    expect([newest.of(long), newest.of(chat)]).toEqual([[], ['a']])
  })
})
