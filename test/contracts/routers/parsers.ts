// How routers find a request's place, written anew from their sources. Each function names the file and the version that it follows.

import type { IncomingHttpHeaders } from 'node:http'

export interface RoutedRequest {
  readonly headers: IncomingHttpHeaders
  readonly body: Readonly<Record<string, unknown>>
}

const textOf = ({ headers }: RoutedRequest, name: string): string => String(headers[name] ?? '')
const firstOf = (request: RoutedRequest, names: readonly string[]): string | undefined => {
  const name = names.find((one) => textOf(request, one) !== '')
  return name === undefined ? undefined : textOf(request, name)
}

/** vllm-project/router 0.1.17, src/policies/hash_key.rs: `extract_session_id`. Undefined: the body's hash decides. */
export function vllmRouterKey(request: RoutedRequest): unknown {
  const names = ['x-session-id', 'x-user-id', 'x-tenant-id', 'x-correlation-id', 'x-request-id', 'x-trace-id']
  const params = request.body.session_params as { session_id?: unknown } | undefined
  const { user, session_id, user_id } = request.body
  return firstOf(request, names) ?? params?.session_id ?? user ?? session_id ?? user_id
}

/** vllm-project/router 0.1.17, src/program_scheduling/identity.rs: `from_request_with_enable_key`, with `auto`. */
export function vllmRouterProgram(request: RoutedRequest): unknown {
  const { vllm_xargs: xargs, agent_hint: hint } = request.body as Record<string, Record<string, unknown> | undefined>
  if (xargs?.agentic_context != null) return xargs.agentic_context
  if (hint?.session_id != null) return hint.session_id
  const schemas = [
    ['x-claude-code-session-id', 'x-claude-code-agent-id'],
    ['session-id', 'thread-id'],
    ['x-session-id', 'x-session-id'],
  ] as const
  const found = schemas.find(([session]) => textOf(request, session).trim() !== '')
  if (found === undefined) return undefined
  const [session, agent] = found
  return agent === session ? textOf(request, session) : [textOf(request, session), textOf(request, agent)]
}

/** llm-d/llm-d-router ebab687, pkg/epp/framework/plugins/scheduling/util/sessionaffinity/session_id.go: `resolveSessionID`, no sources set. */
export function llmdSession(request: RoutedRequest): string {
  return textOf(request, 'x-session-id').trim()
}

/**
 * llm-d/llm-d-router ebab687: what pkg/epp/handlers/request.go and pkg/epp/metadata/consts.go take from headers, the current name before its
 * alias; and the agent of plugins/requestcontrol/requestheader/agentidentity/agent_identity.go.
 */
export function llmdHints(request: RoutedRequest) {
  const either = (name: string) => firstOf(request, [`x-llm-d-${name}`, `x-gateway-${name}`])
  return {
    fairness: either('inference-fairness-id'),
    objective: either('inference-objective'),
    rewrite: either('model-name-rewrite'),
    pod: firstOf(request, ['x-session-token', 'x-gateway-destination-endpoint', 'x-prefiller-host-port']),
    agent: firstOf(request, ['x-claude-code-session-id', 'x-session-affinity', 'session-id', 'session_id']),
  }
}

/** ai-dynamo/dynamo, main of 2026-09, lib/llm/src/protocols/agents.rs: `session_affinity_header_value`. */
export function dynamoSession(request: RoutedRequest): string | undefined {
  const own = textOf(request, 'x-dynamo-session-id').trim()
  if (own !== '') return own
  const claude = textOf(request, 'x-claude-code-session-id')
  if (claude !== '') return firstOf(request, ['x-claude-code-agent-id']) ?? claude
  return firstOf(request, ['thread-id', 'x-deepseek-harness-session-id', 'x-session-id'])
}

/** ai-dynamo/dynamo, main of 2026-09, lib/llm/src/protocols/openai/nvext.rs: headers that override the router. */
export function dynamoOverrides(request: RoutedRequest): string | undefined {
  return firstOf(request, [
    'x-dynamo-worker-instance-id',
    'x-dynamo-prefill-instance-id',
    'x-dynamo-dp-rank',
    'x-dynamo-request-priority',
    'x-dynamo-request-strict-priority',
    'x-worker-instance-id',
    'x-prefill-instance-id',
    'x-dp-rank',
    'x-data-parallel-rank',
    'x-tenant-id',
    'x-dynamo-session-final',
  ])
}

/**
 * vllm-project/aibrix e3e10f9, pkg/plugins/gateway/algorithms/simple_session_affinity.go: `Route`. A pod's address in base64, then the
 * session key by rendezvous hashing (FNV-1a over key, a zero, and address). Undefined: a random pod.
 */
export function aibrixPod(request: RoutedRequest, pods: readonly string[]): string | undefined {
  const asked = Buffer.from(textOf(request, 'x-session-id'), 'base64').toString('latin1')
  if (pods.includes(asked)) return asked
  const key = textOf(request, 'x-aibrix-session-key')
  if (key === '' || Buffer.byteLength(key) > 256) return undefined
  const scored = pods.map((pod) => ({ pod, score: fnv(Buffer.from(`${key}\0${pod}`)) }))
  return scored.reduce((best, one) => (one.score > best.score ? one : best)).pod
}

function fnv(bytes: Buffer): bigint {
  let hash = 14695981039346656037n
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 1099511628211n)
  return hash
}

/** vllm-project/production-stack a6c01db, src/vllm_router/routers/routing_logic.py: `extract_session_id`, with `--session-key`. */
export function productionStackSession(request: RoutedRequest, sessionKey: string): unknown {
  return request.headers[sessionKey.toLowerCase()] ?? request.body[sessionKey]
}

/** sgl-project/sglang, sgl-model-gateway src/policies/manual.rs and consistent_hashing.rs: a worker first, then the key. */
export function sglangGateway(request: RoutedRequest) {
  return { worker: firstOf(request, ['x-smg-target-worker']), key: textOf(request, 'x-smg-routing-key') }
}
