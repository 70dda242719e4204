// Fields and headers with which a client could steer the engine, shared by attack and oracle. Listed here and not imported from src/, because
// an oracle with the same list would not notice a name that was dropped from it.

export const STEERING = [
  'kv_transfer_params',
  'ec_transfer_params',
  'request_id',
  'priority',
  'data_parallel_rank',
  'vllm_xargs',
  'prompt_embeds',
  'agent_hint',
  'nvext',
  'kv_hints',
]

export const STEERING_HEADERS = ['X-data-parallel-rank', 'X-Vllm-Priority']

/** A marker in attackers' ids and salts. It must not arrive where cwm sends its own values. */
export const ATTACK_WORD = 'attack-'
