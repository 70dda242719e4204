// States of engines in health and in the list of engines.

import { z } from 'zod'

export const breakerState = z
  .enum(['closed', 'half_open', 'open'])
  .describe(
    '`open`: after connection failures, requests are rejected for a while without contacting the upstream; `half_open`: one request tests whether it is back',
  )

export const engineState = z
  .enum(['up', 'starting', 'down', 'draining'])
  .describe(
    '`starting`: new, or back after it was down, so it receives fewer new sessions for a while; `draining`: it receives no new work',
  )
