// What a reload takes over, what it only reports, and what it refuses.

import { describe, expect, it } from 'vitest'
import { keyHash } from '../base/auth.ts'
import { planReload } from './reload.ts'
import { reloadable, type SettingName, type Settings, settingNames, settingsSchema } from './schema.ts'

const key = (name: string, text: string) => ({ name, sha256: keyHash(text) })
const parse = (settings: object): Settings => settingsSchema.parse({ upstream: ['http://engine:8000'], ...settings })
const running = parse({})
/** Another value, whatever the setting accepts. */
const withOther = (name: SettingName): Settings => ({ ...running, [name]: ['another value'] }) as unknown as Settings

const others = settingNames.filter((name) => !(reloadable as readonly SettingName[]).includes(name))

describe('a reload', () => {
  it.each(others)('reports that %s needs a restart, and keeps its value', (name) => {
    const plan = planReload(running, withOther(name))

    expect([plan.changed, plan.needsRestart]).toEqual([[], [name]])
    expect(plan.next).toEqual(running)
  })

  it.each(reloadable)('takes over %s', (name) => {
    // Tenants are compared key by key.
    const read = name === 'tenants' ? parse({ tenants: [{ id: 'a', keys: [key('main', 'k')] }] }) : withOther(name)
    const plan = planReload(running, read)

    expect([plan.changed, plan.needsRestart]).toEqual([[name], []])
    expect(plan.next[name]).toEqual(read[name])
  })

  it('takes over that a setting was removed', () => {
    const plan = planReload(parse({ max_windows: 5, operator_key: 'operator-0123456' }), running)

    expect(plan.changed).toEqual(['operator_key', 'max_windows'])
    expect([plan.next.max_windows, plan.next.operator_key]).toEqual([undefined, undefined])
  })

  it('changes nothing if nothing changed', () => {
    expect(planReload(running, parse({}))).toEqual({
      next: running,
      changed: [],
      needsRestart: [],
      keysAdded: [],
      keysRemoved: [],
    })
  })

  it('names the keys that came and went, also under the same name', () => {
    const before = parse({ tenants: [{ id: 'acme', keys: [key('main', 'one'), key('ci', 'two')] }] })
    const after = parse({
      tenants: [
        { id: 'acme', keys: [key('main', 'three'), key('ci', 'two')] },
        { id: 'new', keys: [key('main', 'four')] },
      ],
    })

    const { keysAdded, keysRemoved } = planReload(before, after)

    expect([keysAdded, keysRemoved]).toEqual([['acme/main', 'new/main'], ['acme/main']])
  })

  it.each([
    ['http://engine:8000', 'http://other:8000'],
    ['http://engine:8000', ['http://engine:8000', 'http://other:8000']],
    ['dns+http://engines:8000', 'http://engine:8000'],
  ])('cannot take over an upstream without a list of engines: %j, then %j', (before, after) => {
    const plan = planReload(parse({ upstream: before }), parse({ upstream: after, queue_ms: 5 }))

    expect([plan.changed, plan.needsRestart]).toEqual([['queue_ms'], ['upstream']])
    expect(plan.next.upstream).toEqual(before)
  })

  it('takes over another list of engines, also instead of a name in DNS', () => {
    const plan = planReload(parse({ upstream: 'dns+http://engines:8000' }), running)

    expect([plan.changed, plan.next.upstream]).toEqual([['upstream'], running.upstream])
  })

  // The new settings are valid together. But the process listens on the old host until its restart.
  it('is refused if it would open a port to everyone that stays open until the restart', () => {
    const open = parse({ host: '0.0.0.0', tenants: [{ id: 'acme', keys: [key('main', 'one')] }] })

    expect(() => planReload(open, running)).toThrow(
      /together with host, which need a restart.*\n {2}host: would let in/,
    )
  })
})
