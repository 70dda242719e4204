// REST as another face of cwm calls it: the rules, the checks and the words of refusal are REST's.

/** Answers status and JSON, whatever the status. Rejects where nobody answers, and on abort. */
export type CallRest = (
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body: object | undefined,
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly body: unknown }>
