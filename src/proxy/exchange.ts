// One request and its response, as passed between the parts of the proxy.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ClientResponse } from './client-response.ts'
import type { RequestRecord } from './request-record.ts'

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly client: ClientResponse
  readonly entry: RequestRecord
}
