// Headers as Node and undici hand them over: name, value, name, value. Names are compared without regard to case. Their length is compared
// first, because most names differ in it, and then no text is made of them.

/** The first value under this name. `name`: in lower case. */
export function headerIn(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (isNamed(headers[i], name)) return headers[i + 1]
  }
  return undefined
}

/** The same of undici's bytes. */
export function rawHeaderIn(rawHeaders: readonly Buffer[], name: string): string | undefined {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const bytes = rawHeaders[i]
    if (bytes?.length === name.length && bytes.toString('latin1').toLowerCase() === name) {
      return rawHeaders[i + 1]?.toString('latin1')
    }
  }
  return undefined
}

/** Replaces, in place, each value under this name. `name`: in lower case. */
export function replaceHeader(headers: string[], name: string, value: string): void {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (isNamed(headers[i], name)) headers[i + 1] = value
  }
}

function isNamed(given: string | undefined, name: string): boolean {
  return given?.length === name.length && given.toLowerCase() === name
}
