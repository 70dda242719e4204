// Proves that a router forwards salts: some routers parse a body and drop the fields that they do not know. The proof costs no computation: the
// engine rejects a salt with a forbidden character, and a result means that it never saw the salt.

import { readAffinity } from '../engines/affinity.ts'
import type { Check } from './check.ts'
import type { Facts } from './facts.ts'
import { failed, ok, skipped } from './finding.ts'

/** See docs/engine-behavior.md#salt-format: `@` is forbidden. */
const FORBIDDEN_SALT = 'cwm@doctor'
const NOT_SERVED = [404, 405, 501]

/** Bodies that are valid except for the salt, by path. They limit the answer to one token in case a router does lose the salt. */
const bodies: Readonly<Record<string, object>> = {
  '/v1/chat/completions': { messages: [{ role: 'user', content: 'x' }], max_tokens: 1 },
  '/v1/completions': { prompt: 'x', max_tokens: 1 },
  '/v1/messages': { messages: [{ role: 'user', content: 'x' }], max_tokens: 1 },
  '/v1/responses': { input: 'x', max_output_tokens: 1, store: false },
  '/v1/embeddings': { input: 'x' },
  '/v1/rerank': { query: 'x', documents: ['y'] },
  '/rerank': { query: 'x', documents: ['y'] },
  '/v1/score': { text_1: 'x', text_2: 'y' },
  '/pooling': { input: 'x' },
}

export function routerSalts(applies: NonNullable<Check['applies']>): Check {
  return {
    id: 'router-salts',
    title: 'The router forwards salts',
    proves: 'on every salted path, the engine sees the cache_salt that cwm sends',
    applies,
    run: async (facts) => {
      const seen = await Promise.all(
        Object.keys(bodies).map(async (path) => ({ path, fate: await fateAt(path, facts) })),
      )
      const paths = (wanted: Fate) => seen.filter(({ fate }) => fate === wanted).map(({ path }) => path)
      const passed = paths('passed')
      const refused = readAffinity(facts.parts.affinity?.setting ?? 'none')?.unsalted ?? []
      const lost = paths('lost').filter((path) => !refused.includes(path))
      if (lost.length > 0) {
        return failed(
          `the engine did not see the salt on ${lost.join(', ')}: UNSAFE, tenants share KV there`,
          'do not let clients use these paths, or send them to the engines without this router (docs/fleet.md)',
        )
      }
      if (passed.length === 0) return skipped('no path showed whether the engine sees the salt')
      const closed = paths('lost').join(', ')
      const note = closed === '' ? '' : `, not on ${closed}; cwm rejects those paths unless unsalted_paths lists them`
      return ok(`the engine saw the salt on ${passed.join(', ')}${note}`)
    },
  }
}

type Fate = 'passed' | 'lost' | 'unknown'

/** `unknown`: the path is not served, or the answer is about something else. */
async function fateAt(path: string, facts: Facts): Promise<Fate> {
  const { id: model } = await facts.model()
  const body = { ...bodies[path], model, cache_salt: FORBIDDEN_SALT }
  const answer = await facts.ask('POST', path, body)
  if (answer.status === 200) return 'lost'
  if (NOT_SERVED.includes(answer.status)) return 'unknown'
  return answer.status === 400 && answer.text.includes('cache_salt') ? 'passed' : 'unknown'
}
