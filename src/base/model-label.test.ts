import { describe, expect, it } from 'vitest'
import { modelLabeler } from './model-label.ts'

describe('the label of a model', () => {
  it('is the name of a model that the engine serves, "other" for other names, and empty without a name', () => {
    const label = modelLabeler((name) => name === 'tiny')

    expect(['tiny', 'invented', '', undefined].map(label)).toEqual(['tiny', 'other', 'other', ''])
  })

  it('stays when the engine no longer serves it', () => {
    const served = new Set(['tiny'])
    const label = modelLabeler((name) => served.has(name))
    label('tiny')
    served.clear()

    expect(label('tiny')).toBe('tiny')
  })

  it('has at most 100 names, none longer than 128 characters', () => {
    const label = modelLabeler(() => true)
    const long = label('m'.repeat(129))
    const labels = new Set(Array.from({ length: 1_000 }, (_, n) => label(`model-${n}`)))

    expect(long).toBe('other')
    expect(labels.size).toBe(101)
    expect(labels).toContain('other')
  })
})
