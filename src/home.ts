// What a browser gets at `/`: the way to the dashboard. Everybody else gets what the proxy answers there.

import type { IncomingMessage, ServerResponse } from 'node:http'

const DASHBOARD = '/cwm/ui'

/** Whether a browser opens the bare address. Others send any type or no `Accept` at all. */
export function isBrowserAtHome({ method, url, headers }: IncomingMessage): boolean {
  return url === '/' && method === 'GET' && prefersHtml(headers.accept ?? '')
}

export function sendHome(response: ServerResponse): void {
  response.writeHead(302, { location: DASHBOARD, vary: 'accept', 'content-length': 0 }).end()
}

/** By the qualities of RFC 9110 12.5.1; of `text/html` and JSON as they are named, for a wildcard is no wish for a page. */
function prefersHtml(accept: string): boolean {
  let [html, json] = [0, 0]
  for (const range of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
    const given = parameters.find((parameter) => parameter.startsWith('q='))
    const quality = given === undefined ? 1 : Number(given.slice(2)) || 0
    if (type === 'text/html') html = quality
    else if (type === 'application/json') json = quality
  }
  return html > json
}
