// Which layers of a model keep KV of every token, which read a sliding window only, and which keep a state of fixed size.

import type { JsonObject } from '../base/json.ts'
import { countOf, refuse, requireCount } from './read-config.ts'

/** `full`: KV of every token. `sliding`: only the last tokens are read. `state`: no KV per token. `none`: no cache. */
export type LayerKind = 'full' | 'sliding' | 'state' | 'none'

/** Names in `layer_types` and `layers_block_type`, as transformers writes them. */
const kinds: Readonly<Record<string, LayerKind>> = {
  full_attention: 'full',
  attention: 'full',
  sliding_attention: 'sliding',
  chunked_attention: 'sliding',
  linear_attention: 'state',
  mamba: 'state',
  mamba2: 'state',
  recurrent: 'state',
  conv: 'state',
  mlp: 'none',
  moe: 'none',
}

/** Letters of `hybrid_override_pattern` (Nemotron-H). */
const letters: Readonly<Record<string, LayerKind>> = { '*': 'full', M: 'state', '-': 'none', E: 'none' }

/** How often a layer has full attention, by model type, where config.json may leave it out: defaults of transformers 5.19. */
const fullEvery: Readonly<Record<string, number>> = { gemma2: 2, gemma3: 6, gemma3_text: 6, cohere2: 4 }

/** One entry per layer. Throws for a layout that it does not know. */
export function layersOf(config: JsonObject): readonly LayerKind[] {
  const layers = findLayers(config)
  // A model with a recurrent part whose place is not known: all layers would count as attention.
  const recurrent = Object.keys(config).find((field) => /^(mamba|ssm|linear_(num|key|value))_/.test(field))
  if (recurrent !== undefined && !layers.includes('state')) {
    throw refuse(recurrent, 'belongs to layers without KV per token, and nothing says which they are')
  }
  return layers
}

function findLayers(config: JsonObject): readonly LayerKind[] {
  const { hybrid_override_pattern: pattern, layers_block_type: blocks } = config
  if (typeof pattern === 'string') return fromLetters(pattern)
  if (Array.isArray(blocks)) return fromTypes(blocks, 'layers_block_type')
  const count = requireCount(config, ['num_hidden_layers', 'n_layer', 'n_layers', 'num_layers'])
  const all = fromFields(config, count)
  if (all.length !== count) throw refuse('layer_types', `has ${all.length} entries for ${count} layers`)
  const shared = config.num_kv_shared_layers === 0 ? 0 : (countOf(config, ['num_kv_shared_layers']) ?? 0)
  return all.map((kind, at) => (at < count - shared ? kind : 'none'))
}

function fromFields(config: JsonObject, count: number): readonly LayerKind[] {
  const { layer_types: listed } = config
  if (Array.isArray(listed)) return fromTypes(listed, 'layer_types')
  // Qwen3-Next: the others have linear attention.
  const interval = countOf(config, ['full_attention_interval'])
  if (interval === undefined) return fromWindow(config, count)
  return Array.from({ length: count }, (_, at): LayerKind => ((at + 1) % interval === 0 ? 'full' : 'state'))
}

/** Tokens that a sliding layer reads; undefined if none slides. */
export function slidingWindowOf(config: JsonObject, layers: readonly LayerKind[]): number | undefined {
  if (!layers.includes('sliding')) return undefined
  return requireCount(config, ['sliding_window', 'attention_chunk_size'])
}

function fromLetters(pattern: string): readonly LayerKind[] {
  return [...pattern].map((letter) => {
    const kind = letters[letter]
    if (kind === undefined) throw refuse('hybrid_override_pattern', `has the unknown letter ${JSON.stringify(letter)}`)
    return kind
  })
}

function fromTypes(listed: readonly unknown[], field: string): readonly LayerKind[] {
  return listed.map((name) => {
    const kind = typeof name === 'string' ? kinds[name] : undefined
    if (kind === undefined) throw refuse(field, `has the unknown type ${JSON.stringify(name)}`)
    return kind
  })
}

/** For models without a list: derived from the defaults for their sliding window. */
function fromWindow(config: JsonObject, count: number): readonly LayerKind[] {
  const slides = typeof config.sliding_window === 'number' && config.use_sliding_window !== false
  const type = typeof config.model_type === 'string' ? config.model_type : ''
  const every = countOf(config, ['sliding_window_pattern', '_sliding_window_pattern']) ?? fullEvery[type]
  // Qwen's layers slide from this one on.
  const from = config.use_sliding_window === true ? (countOf(config, ['max_window_layers']) ?? 0) : 0
  return Array.from({ length: count }, (_, at): LayerKind => {
    if (!slides || at < from) return 'full'
    return every !== undefined && (at + 1) % every === 0 ? 'full' : 'sliding'
  })
}
