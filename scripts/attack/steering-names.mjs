// Names that attack and oracle must agree on: fields and headers by which a client would steer the engine. Written out, not imported from
// src/: an oracle that shared the list would not notice a name that was dropped from it.

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

/** What attackers write into ids and salts of their own: none of it may arrive where cwm puts its own. */
export const ATTACK_WORD = 'attack-'
