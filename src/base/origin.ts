// Whether a request comes from a page that a browser loaded from elsewhere. Such a page sends what it likes to any address that the
// browser can reach, this machine's own included.

import type { IncomingHttpHeaders } from 'node:http'

/**
 * By `Origin`, which browsers send with whatever may change something, and, where there is none, by `Sec-Fetch-Site`. A link that is
 * followed is the user's own doing. What says neither is no browser.
 */
export function isForeignPage(headers: IncomingHttpHeaders): boolean {
  const { origin } = headers
  if (origin !== undefined) return !URL.canParse(origin) || new URL(origin).host !== headers.host
  return headers['sec-fetch-site'] === 'cross-site' && headers['sec-fetch-mode'] !== 'navigate'
}
