// Redirects a browser that opens `/` to the dashboard. Other clients get the proxy's answer for that path.

import type { IncomingMessage, ServerResponse } from 'node:http'

const DASHBOARD = '/cwm/ui'

/** Whether the request is a browser's for the bare address. Other clients accept any type or send no `Accept`. */
export function isBrowserAtRoot({ method, url, headers }: IncomingMessage): boolean {
  return url === '/' && method === 'GET' && prefersHtml(headers.accept ?? '')
}

/** Answers 302 to the dashboard. */
export function redirectToDashboard(response: ServerResponse): void {
  response.writeHead(302, { location: DASHBOARD, vary: 'accept', 'content-length': 0 }).end()
}

/** Compares the qualities (RFC 9110, 12.5.1) of `text/html` and JSON. Wildcards do not count as a preference for a page. */
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
