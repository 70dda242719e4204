// One scope per response. Calls that are made in-process for a request share its response, and so its scope.

import type { ServerResponse } from 'node:http'
import { RequestScope } from '../base/request-scope.ts'

export class ResponseScopes {
  readonly #scopes = new WeakMap<ServerResponse, RequestScope>()

  of(response: ServerResponse): RequestScope {
    const known = this.#scopes.get(response)
    if (known !== undefined) return known
    const scope = RequestScope.of(response)
    this.#scopes.set(response, scope)
    return scope
  }
}
