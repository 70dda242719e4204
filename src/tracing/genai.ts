// The name and attributes of a request's span, by OpenTelemetry's semantic conventions: those for HTTP, which are stable, and those for GenAI,
// which are in development, so names may still change (repository semantic-conventions-genai, page client-inference, read at commit 024a4f9).

import type { Attributes } from '@opentelemetry/api'
import type { TracedOutcome } from '../base/request-trace.ts'

/** `vllm` is not on the conventions' list of providers, which allows other values. */
const PROVIDER = 'vllm'

/** The session as traces show it. It reveals neither the session's id nor, without the secret, which sessions are equal elsewhere. */
export type SessionHash = (tenant: string, session: string) => string

/** `{operation} {model}` for an operation on a model, otherwise `{method} {route}`, as the conventions have it. */
export function spanNameOf({ operation, model, method, route }: TracedOutcome): string {
  if (operation === undefined) return `${method} ${route}`
  return model === '' ? operation : `${operation} ${model}`
}

export function attributesOf(outcome: TracedOutcome, sessionHash: SessionHash): Attributes {
  return {
    'http.request.method': outcome.method,
    'http.route': outcome.route,
    'http.response.status_code': outcome.status,
    'error.type': outcome.code?.toLowerCase(),
    'cwm.tenant': outcome.tenant,
    ...(outcome.operation === undefined ? {} : genAiOf(outcome, outcome.operation, sessionHash)),
  }
}

/** Tokens that the engine did not report are left out, because they are unknown. */
function genAiOf(outcome: TracedOutcome, operation: string, sessionHash: SessionHash): Attributes {
  const { tenant, session, model, streams, ttftMs, usage } = outcome
  return {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': PROVIDER,
    'gen_ai.request.model': model === '' ? undefined : model,
    'gen_ai.request.stream': streams,
    'gen_ai.conversation.id': tenant === undefined || session === undefined ? undefined : sessionHash(tenant, session),
    'gen_ai.response.time_to_first_chunk': streams === true && ttftMs !== undefined ? ttftMs / 1000 : undefined,
    'gen_ai.usage.input_tokens': usage?.promptTokens,
    'gen_ai.usage.cache_read.input_tokens': usage?.cachedTokens,
    'gen_ai.usage.output_tokens': usage?.completionTokens,
  }
}
