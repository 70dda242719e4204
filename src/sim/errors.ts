// Errors in the dialects of the servers: vLLM's own, pydantic's as vLLM words them, and FastAPI's plain `detail`.

/** Any answer that is not the handler's own. */
export class HttpError extends Error {
  readonly status: number
  readonly json: unknown

  constructor(status: number, json: unknown) {
    super(`HTTP ${status}`)
    this.status = status
    this.json = json
  }
}

const TYPES: Record<number, string> = { 400: 'BadRequestError', 403: 'PermissionDeniedError', 404: 'NotFoundError' }

/** vLLM's error object. With `value` undefined and a `param`, the message ends in `(parameter=…)`, as recorded. */
export class EngineError extends HttpError {
  readonly text: string
  readonly type: string

  constructor(
    status: number,
    message: string,
    param: string | null = null,
    type = TYPES[status] ?? 'InternalServerError',
  ) {
    super(status, { error: { message, type, param, code: status } })
    this.text = message
    this.type = type
  }
}

/** A rule about one parameter was broken: vLLM names it, and the value where it has one, at the end of the message. */
export function parameterError(param: string, message: string, value?: number): EngineError {
  const suffix = value === undefined ? `(parameter=${param})` : `(parameter=${param}, value=${value})`
  return new EngineError(400, `${message} ${suffix}`, param)
}

export interface Violation {
  readonly type: string
  readonly loc: string
  readonly msg: string
  /** Python's repr of the offending input. */
  readonly input: string
  readonly ctx?: string
}

/** pydantic's complaint in vLLM's words. Unlike the others it is of type `Bad Request`, and in no other dialect. */
export class ValidationError extends EngineError {
  constructor(violations: readonly Violation[]) {
    const lines = violations.map((v) => {
      const ctx = v.ctx === undefined ? '' : `, 'ctx': ${v.ctx}`
      return `  {'type': '${v.type}', 'loc': '${v.loc}', 'msg': '${v.msg}', 'input': ${v.input}${ctx}}`
    })
    const head = violations.length === 1 ? '1 validation error' : `${violations.length} validation errors`
    super(400, `${head}:\n${lines.join('\n')}`, violations[0]?.loc ?? null, 'Bad Request')
  }
}

/** FastAPI's `{"detail": …}`, which LMCache's servers answer. */
export function detailError(status: number, detail: unknown): HttpError {
  return new HttpError(status, { detail })
}
