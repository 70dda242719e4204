// The scope of a request whose client can leave.

import { RequestScope } from '../../src/base/request-scope.ts'

/** `close`: the client leaves before its answer is complete. */
export function openScope(): { readonly scope: RequestScope; readonly close: () => void } {
  const response = { destroyed: false, writableFinished: false }
  const scope = new RequestScope(response)
  const close = () => {
    response.destroyed = true
    scope.close()
  }
  return { scope, close }
}
