// A target that was started, and what a cwm reports about itself.

import { OPERATOR_KEY } from './tenants.mjs'

export const isCwm = ({ session }) => session !== undefined

export class Running {
  constructor(target, process, url, upstream, { dataFolder, tenants } = {}) {
    const { name, session, rewrites, headersTo } = target
    this.target = target
    this.process = process
    this.dataFolder = dataFolder
    this.url = url
    /** The target's description for the load client. */
    this.forLoad = { name, session, rewrites, headers: headersTo?.(upstream), url, tenants }
  }
}

/** How each cwm found the sessions of its turns, from its metrics. */
export async function foundOf(running) {
  const proxies = running.flatMap(({ target, url }) => (isCwm(target) ? [[target.name, url]] : []))
  const found = await Promise.all(
    proxies.map(async ([name, url]) => {
      const headers = { authorization: `Bearer ${OPERATOR_KEY}` }
      const metrics = await (await fetch(`${url}/cwm/metrics`, { headers })).text()
      const lines = metrics.matchAll(/^cwm_sessions_total\{found="(\w+)"\} (\d+)$/gm)
      return [name, Object.fromEntries([...lines].map(([, way, turns]) => [way, Number(turns)]))]
    }),
  )
  return Object.fromEntries(found)
}
