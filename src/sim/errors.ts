// Errors in the formats of the servers: vLLM's own, pydantic's as vLLM writes them, and FastAPI's plain `detail`.

/** Any answer other than the handler's own. */
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

/** vLLM's error object. */
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

/** An error about one parameter. As recorded, vLLM appends its name, and its value if there is one, to the message. */
export function parameterError(param: string, message: string, value?: number): EngineError {
  const suffix = value === undefined ? `(parameter=${param})` : `(parameter=${param}, value=${value})`
  return new EngineError(400, `${message} ${suffix}`, param)
}

export interface Violation {
  readonly type: string
  readonly loc: string
  readonly msg: string
  /** The invalid input, as Python's repr. */
  readonly input: string
  readonly ctx?: string
}

/** A pydantic error in vLLM's wording. Unlike the others it has type `Bad Request`, and the same format in every dialect. */
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

/** FastAPI's `{"detail": …}`, the error format of LMCache's servers. */
export function detailError(status: number, detail: unknown): HttpError {
  return new HttpError(status, { detail })
}
