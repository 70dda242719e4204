// What every page asks for while it is visible: the health of cwm, and one stream of events.

import type { HealthJson } from '../wire/health.ts'
import type { App } from './bindings.ts'
import { whileLoggedIn } from './logins.ts'
import type { Pages } from './pages.tsx'
import type { Viewers } from './viewers.ts'

interface LiveRouteParts {
  readonly pages: Pages
  readonly viewers: Viewers
}

export function mountLive(app: App, { pages, viewers }: LiveRouteParts): void {
  app.get('/health', async (c) => {
    // Needs no login, which could not be checked while the store is down.
    const health = await viewers.askAs(c, undefined, undefined)<HealthJson>('GET', '/cwm/v1/health')
    return await pages.html(c, <HealthState health={health} />)
  })
  app.get('/live', async (c) => {
    // A browser that reconnects names the last event that it has seen in the header; a page that was hidden, in the query.
    const last = c.req.header('last-event-id') || c.req.query('after') || ''
    const request = new Request('http://cwm/cwm/v1/events', { headers: { 'last-event-id': last } })
    const answer = await viewers.fetch(c, request)
    if (!(await viewers.of(c)).isLoggedIn || answer.body === null) return new Response(answer.body, answer)
    const isEnded = async () => !(await viewers.find(c)).isLoggedIn
    return new Response(whileLoggedIn(answer.body, isEnded), answer)
  })
}

function HealthState({ health }: { readonly health: HealthJson }) {
  const problems = healthProblems(health)
  if (problems.length === 0) return <span class="state good">Healthy</span>
  return <span class={`state ${health.upstream.ok && health.store.ok ? 'weak' : 'bad'}`}>{problems.join('; ')}</span>
}

/** What does not work, in words. */
export function healthProblems({ upstream, store, lmcache }: HealthJson): readonly string[] {
  return [
    ...(upstream.ok ? [] : ['Engine does not answer']),
    ...(store.ok ? [] : ['Store does not answer']),
    // LMCache's warnings explain a failure. Without any, a server was just lost.
    ...(lmcache.ok === false && lmcache.warnings.length === 0 ? ['LMCache does not answer'] : []),
    ...lmcache.warnings,
  ]
}
