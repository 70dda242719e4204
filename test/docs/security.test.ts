// docs/security.md names a test for each attack. Each of them must exist, and each test file about attacks must be named.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const root = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')

/** Rows of the table of attacks: the attack, and the tests for it. */
const rows = (read('docs/security.md').split('## Attacks')[1] ?? '')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| attack |'))
  .map((line) => {
    const [attack = '', , shown = ''] = line.split('|').slice(1, -1)
    return {
      attack: attack.trim(),
      tests: [...shown.matchAll(/`([^`]+)` “([^”]+)”/g)].map(([, file, name]) => ({ file, name })),
    }
  })

describe('the attacks of docs/security.md', () => {
  it.each(rows)('are shown by tests that exist: $attack', ({ tests }) => {
    expect(tests.length).toBeGreaterThan(0)
    const missing = tests.filter(({ file = '', name = '' }) => !read(file).replaceAll("\\'", "'").includes(name))
    expect(missing).toEqual([])
  })

  it('include every test file about attacks', () => {
    const files = readdirSync(new URL('test/e2e/security/', root)).map((name) => `test/e2e/security/${name}`)
    const named = new Set(rows.flatMap(({ tests }) => tests.map(({ file }) => file)))

    expect(files.filter((file) => !named.has(file))).toEqual([])
  })
})
