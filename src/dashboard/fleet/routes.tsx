// The tab of the fleet: the parts behind cwm, and for the operator its engines, which can be drained.

import type { EngineJson, EngineListJson } from '../../wire/engines.ts'
import type { HealthJson } from '../../wire/health.ts'
import { textOf } from '../forms.ts'
import { type Mount, refreshLists } from '../pages.tsx'
import { ConfirmDrain, Drained, Engines, Parts } from './fleet.tsx'

export const fleet: Mount = (app, pages) => {
  app.get('/fleet', async (c) => {
    const { isOperator } = await pages.viewer(c)
    const [health, engines] = await Promise.all([
      pages.ask(c)<HealthJson>('GET', '/cwm/v1/health'),
      isOperator ? pages.askAll(c)<EngineListJson>('GET', '/cwm/v1/engines') : undefined,
    ])
    const body = <Parts health={health}>{engines === undefined ? null : <Engines engines={engines.data} />}</Parts>
    return await pages.show(c, { tab: 'fleet', title: 'Fleet', body })
  })
  app.get('/fleet/drain', async (c) => {
    const engine = c.req.query('engine') ?? ''
    return await pages.showDetail(c, { tab: 'fleet', title: 'Drain', body: <ConfirmDrain engine={engine} /> })
  })
  for (const action of ['drain', 'resume'] as const) {
    app.post(`/fleet/${action}`, async (c) => {
      const body = { engine: textOf((await c.req.parseBody()).engine) }
      const engine = await pages.askAll(c)<EngineJson>('POST', `/cwm/v1/engines/${action}`, body)
      return await pages.html(c, <Drained engine={engine} />, refreshLists)
    })
  }
}
