// One table of every header and body field by which a router or an engine places, prioritizes or rewrites a request, and of the answer
// headers that name a worker. How to extend it: docs/fleet.md#with-a-router. router-headers.ts applies it.

/** The names that one router or engine reads. Headers in lower case. */
export interface RouterNames {
  readonly router: string
  /** Where the names were read, for comparison with later versions. */
  readonly source: string
  /**
   * Headers that name a session. Without an affinity header they are sent with an opaque value in place of the client's, so that a router
   * still sees one id per lineage. With one they are removed.
   */
  readonly session?: readonly string[]
  /** Headers that this router hashes, but that have another meaning elsewhere. Removed if an affinity header is sent. */
  readonly spreading?: readonly string[]
  /** Headers that choose a worker, a queue, a model or a cache space. Always removed. */
  readonly steering?: readonly string[]
  /** Headers that are rejected, because no honest client sends them. Older versions of cwm rejected them too. */
  readonly rejected?: readonly string[]
  /** Body fields that are rejected, as `field` or `object.field`. */
  readonly fields?: readonly string[]
  /** Answer headers that name a worker or its address. Always removed. */
  readonly answers?: readonly string[]
  /** Headers and fields that pass, because each affinity header of the same router outranks them. */
  readonly outranked?: readonly string[]
}

/** Request headers with these prefixes are removed too, because new versions of routers add more of them. */
export const routerPrefixes = [
  'x-dynamo-',
  'x-llm-d-',
  'x-smg-',
  'x-sgl-',
  'x-aibrix-',
  'x-gateway-destination-',
] as const

export const routerTable: readonly RouterNames[] = [
  {
    router: 'vllm',
    source:
      'vLLM 0.32: vllm/entrypoints/generate/base/serving.py, the request classes, vllm/v1/kv_hints, proposal 52113',
    session: ['x-session-id'],
    rejected: [
      'x-data-parallel-rank',
      'x-vllm-priority',
      // On /invocations they replace the model, and open sessions that the engine keeps: docs/engine-behavior.md#invocations.
      'x-amzn-sagemaker-adapter-identifier',
      'x-amzn-sagemaker-session-id',
    ],
    fields: [
      'kv_transfer_params',
      'ec_transfer_params',
      'request_id',
      'priority',
      'data_parallel_rank',
      'vllm_xargs',
      // An operator may allow `vllm_xargs`. The session in it is stamped on KV events like `session_id`.
      'vllm_xargs.session_id',
      'prompt_embeds',
      'agent_hint',
      'kv_hints',
    ],
    // `session_id` is replaced: src/turn/engine-session.ts. `cache_salt` is cwm's.
    outranked: ['x-request-id'],
  },
  {
    router: 'vllm-router',
    source:
      'vllm-project/router, wheel 0.1.17: src/policies/hash_key.rs, src/program_scheduling/identity.rs, src/routers/router_manager.rs, src/server.rs (/finish_session)',
    session: [
      'x-claude-code-session-id',
      'x-claude-code-agent-id',
      'x-claude-code-parent-agent-id',
      'session-id',
      'thread-id',
      'x-session-id',
    ],
    spreading: ['x-user-id', 'x-trace-id'],
    // Dynamo takes the last one for the cache space: with it, two tenants could share KV whatever their salts.
    steering: ['x-worker-priority', 'x-max-cost', 'x-prefer-pd', 'x-tenant-id'],
    fields: ['session_params'],
    outranked: ['x-correlation-id', 'x-request-id', 'user', 'session_id', 'user_id'],
  },
  {
    router: 'llm-d',
    source:
      'llm-d/llm-d-router ebab687 (2026-08): pkg/epp/metadata/consts.go, pkg/epp/handlers/request.go, pkg/common/routing/common.go, plugins/scheduling/util/sessionaffinity, plugins/requestcontrol/requestheader/agentidentity, pkg/epp/framework/common/request/headers.go',
    session: ['x-claude-code-session-id', 'x-session-affinity', 'session-id', 'session_id', 'x-session-id'],
    steering: [
      'x-session-token',
      'x-llm-d-inference-fairness-id',
      'x-gateway-inference-fairness-id',
      'x-llm-d-inference-objective',
      'x-gateway-inference-objective',
      'x-llm-d-model-name-rewrite',
      'x-gateway-model-name-rewrite',
      'x-llm-d-slo-ttft-ms',
      'x-slo-ttft-ms',
      'x-llm-d-slo-tpot-ms',
      'x-slo-tpot-ms',
      'x-llm-d-video-fps',
      'x-llm-d-video-duration-seconds',
      'x-llm-d-video-resolution',
      'x-gateway-destination-endpoint',
      'x-gateway-destination-endpoint-subset',
      'x-gateway-destination-endpoint-served',
      'x-prefiller-host-port',
      'x-encoder-hosts-ports',
      'x-data-parallel-host-port',
      'x-kv-cache-source-host-port',
      'prefer',
      'x-original-path',
      'x-forwarded-path',
    ],
    answers: [
      'x-session-token',
      'x-gateway-destination-endpoint',
      'x-gateway-destination-endpoint-served',
      'x-conformance-test-served-endpoint',
    ],
    outranked: ['x-request-id'],
  },
  {
    router: 'dynamo',
    source:
      'ai-dynamo/dynamo (1.3, main of 2026-09): lib/llm/src/protocols/agents.rs, lib/llm/src/protocols/openai/nvext.rs, docs of frontend configuration (DYN_DISABLE_FRONTEND_NVEXT) and session ids',
    session: [
      'x-claude-code-session-id',
      'x-claude-code-agent-id',
      'x-claude-code-parent-agent-id',
      'session-id',
      'thread-id',
      'x-codex-parent-thread-id',
      'x-session-id',
      'x-parent-session-id',
      'x-deepseek-harness-session-id',
      'x-deepseek-harness-parent-session-id',
    ],
    spreading: ['x-codex-turn-metadata', 'x-deepseek-harness-compact'],
    steering: [
      'x-dynamo-session-id',
      'x-dynamo-parent-session-id',
      'x-dynamo-session-final',
      'x-dynamo-worker-instance-id',
      'x-dynamo-prefill-instance-id',
      'x-dynamo-dp-rank',
      'x-dynamo-prefill-dp-rank',
      'x-dynamo-request-priority',
      'x-dynamo-request-strict-priority',
      'x-dynamo-routing-mode',
      'x-dynamo-interactivity-pool',
      'x-worker-instance-id',
      'x-prefill-instance-id',
      'x-dp-rank',
      'x-prefill-dp-rank',
      'x-tenant-id',
    ],
    fields: ['nvext'],
    answers: ['x-dynamo-worker-instance-id', 'x-worker-instance-id'],
  },
  {
    router: 'aibrix',
    source:
      'vllm-project/aibrix e3e10f9 (2026-08): pkg/constants/gateway.go, pkg/plugins/gateway/types.go, gateway_req_headers.go, gateway_rsp_headers.go, algorithms/simple_session_affinity.go, algorithms/pd_disaggregation.go',
    // The value is a pod's address in base64: a client could choose its pod.
    session: ['x-session-id'],
    steering: [
      'x-aibrix-session-key',
      'x-aibrix-config-profile',
      'config-profile',
      'routing-strategy',
      'external-filter',
      'target-pod',
      'target-pod-ip',
      'prefill-target-pod',
      'prefill-target-pod-ip',
      // Chooses the account whose rate limit applies, and the pods of another model.
      'user',
      'model',
    ],
    answers: [
      'x-session-id',
      'target-pod',
      'target-pod-ip',
      'prefill-target-pod',
      'prefill-target-pod-ip',
      'routing-strategy',
      'x-aibrix-config-profile',
    ],
  },
  {
    router: 'sglang',
    source:
      'sgl-project/sglang: sgl-model-gateway src/policies/{manual,consistent_hashing}.rs, experimental/sgl-router src/config.rs and src/server/routes/chat.rs, python/sglang/srt/managers/io_struct.py (GenerateReqInput)',
    session: ['x-session-id'],
    steering: [
      'x-smg-routing-key',
      'x-smg-target-worker',
      'x-sgl-routing-key',
      'x-sgl-decode-url',
      'x-sgl-ttft-slo-ms',
      'x-sgl-tps-slo',
    ],
    fields: [
      'session_params',
      'routing_key',
      'extra_key',
      'rid',
      'bootstrap_host',
      'bootstrap_port',
      'bootstrap_room',
      'routed_dp_rank',
      'disagg_prefill_dp_rank',
    ],
    answers: ['x-sgl-decode-url'],
  },
  {
    router: 'production-stack',
    source:
      'vllm-project/production-stack a6c01db (2026-08): src/vllm_router/routers/routing_logic.py (extract_session_id)',
    // It reads the header that `--session-key` names, and without it a body field of that name. A header is always sent, so it outranks.
    outranked: ['x-request-id'],
  },
]
