// The address of an engine as the settings have it, and the id that follows from it.

import { CwmError } from '../base/errors.ts'

export interface EngineUrl {
  /** Scheme, host and port, in lower case. */
  readonly origin: string
  /** Without a trailing `/v1` or slash; may be empty. */
  readonly basePath: string
}

/** Throws `CONFIG` unless the text is an http or https URL without query and credentials. */
export function parseEngineUrl(text: string): EngineUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new CwmError(
      'CONFIG',
      `upstream must be an http:// or https:// URL without a query, such as http://127.0.0.1:8000`,
      {
        param: 'upstream',
      },
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw new CwmError('CONFIG', 'upstream must not contain credentials; set CWM_UPSTREAM_API_KEY instead', {
      param: 'upstream',
    })
  }
  return { origin: url.origin, basePath: url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '') }
}

/** The id of the engine at this address: two spellings of one address have the same. Throws as `parseEngineUrl`. */
export function engineIdOf(text: string): string {
  const { origin, basePath } = parseEngineUrl(text)
  return origin + basePath
}
