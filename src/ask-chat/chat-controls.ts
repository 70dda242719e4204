// The `x-cwm-` headers of a chat app's question: which and how many windows it may ask, and for how long. An app's request has no fields for
// them.

import type { IncomingHttpHeaders } from 'node:http'
import { CwmError } from '../base/errors.ts'
import { MAX_DEADLINE_MS, MAX_WINDOWS } from '../wire/many-asks.ts'

/** Limits of a question, as in `ManyQuestion`. */
export interface ChatControls {
  /** Windows whose passages fit the question best, at most. */
  readonly select?: number
  readonly budgetTokens?: number
  readonly deadlineMs?: number
}

interface Control {
  readonly header: string
  /** The same control in the body of `POST /cwm/v1/ask`. */
  readonly restField: string
  readonly max: number
}

const controls: { readonly [F in keyof Required<ChatControls>]: Control } = {
  select: { header: 'x-cwm-select', restField: 'select', max: MAX_WINDOWS },
  budgetTokens: { header: 'x-cwm-budget-tokens', restField: 'budget_tokens', max: Number.MAX_SAFE_INTEGER },
  deadlineMs: { header: 'x-cwm-deadline-ms', restField: 'deadline_ms', max: MAX_DEADLINE_MS },
}
const headerNames = Object.values(controls).map(({ header }) => header)

/** The operator names the tenant with it. */
const TENANT_HEADER = 'x-cwm-tenant'

/**
 * Throws `INVALID_HEADER` for a number out of range, and for any other `x-cwm-` header: questions belong to no session, so headers that name
 * a session or a window would have no effect.
 */
export function readChatControls(headers: IncomingHttpHeaders): ChatControls {
  const other = Object.keys(headers).find(
    (name) => name.startsWith('x-cwm-') && name !== TENANT_HEADER && !headerNames.includes(name),
  )
  if (other !== undefined) {
    const message = `${other} has no effect on questions to windows; leave it out (allowed: ${headerNames.join(', ')})`
    throw new CwmError('INVALID_HEADER', message, { param: other })
  }
  const read: { -readonly [F in keyof ChatControls]: ChatControls[F] } = {}
  for (const [field, control] of Object.entries(controls) as [keyof ChatControls, Control][]) {
    const value = headers[control.header]
    if (value !== undefined) read[field] = numberIn(String(value), control)
  }
  return read
}

/** Where a chat app sends what is a field in REST. */
const placeOfField: Readonly<Record<string, string>> = { question: 'messages', windows: 'path' }

/** Replaces the fields of REST in an error by what a chat app sends: messages, a path with the tag, and headers. */
export function inTermsOfChat(error: CwmError): CwmError {
  const { code, message, param = '' } = error
  const place = Object.hasOwn(placeOfField, param) ? placeOfField[param] : undefined
  if (place !== undefined) return new CwmError(code, message, { param: place, cause: error })
  const control = Object.values(controls).find(({ restField }) => restField === param)
  if (control === undefined) return error
  const { header, restField } = control
  const named = message.replaceAll(new RegExp(`\\b${restField}\\b`, 'g'), header)
  return new CwmError(code, named, { param: header, cause: error })
}

function numberIn(value: string, { header, max }: Control): number {
  const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : 0
  if (number >= 1 && number <= max) return number
  const message = `${header} is ${JSON.stringify(value.slice(0, 80))}; it must be a whole number from 1 to ${max}`
  throw new CwmError('INVALID_HEADER', message, { param: header })
}
