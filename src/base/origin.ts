// Whether a request comes from a web page of another origin. Such a page can send requests to any address that the browser can reach,
// including this machine's own.

import type { IncomingHttpHeaders } from 'node:http'

/**
 * Checks `Origin`, which browsers send with requests that may change something, and without it `Sec-Fetch-Site`. A followed link counts as
 * the user's own request. A request without both is not from a browser.
 */
export function isForeignPage(headers: IncomingHttpHeaders): boolean {
  const { origin } = headers
  if (origin !== undefined) return !URL.canParse(origin) || new URL(origin).host !== headers.host
  return headers['sec-fetch-site'] === 'cross-site' && headers['sec-fetch-mode'] !== 'navigate'
}
