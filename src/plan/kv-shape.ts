// Bytes of KV per token, from a model's config.json: heads, head sizes, layers and data type. Layouts that it does not know are refused by
// the name of their field, because a wrong number would look like a right one.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { elementBytes, kvDtypeOf, type ShapeOptions } from './kv-dtype.ts'
import { type LayerKind, layersOf, slidingWindowOf } from './layers.ts'
import { countOf, languageModelOf, refuse, requireCount } from './read-config.ts'

export interface KvShape {
  readonly modelType: string
  /** Of a KV element, as vLLM names it. */
  readonly dtype: string
  /** Of layers that keep every token, all heads of all layers together. */
  readonly fullBytesPerToken: number
  /** Of layers that read a sliding window only. */
  readonly slidingBytesPerToken: number
  /** Tokens; undefined if no layer slides. */
  readonly slidingWindow: number | undefined
  readonly layers: Readonly<Record<Exclude<LayerKind, 'none'>, number>>
  /** The smallest number of KV heads of a layer. 1 for a latent cache (MLA), which is not split among ranks. */
  readonly kvHeads: number
  readonly latent: boolean
  /** Assumptions where the file says nothing. */
  readonly notes: readonly string[]
}

/** Fields of layouts whose cache is not per head and layer as computed here. */
const unknownLayouts = [
  'index_head_dim',
  'compress_ratios',
  'hybrid_layer_pattern',
  'block_configs',
  'linear_attn_config',
  'sparse_attention_config',
  'attn_layer_period',
  'attn_config',
  'multi_query',
  'multi_query_group_num',
] as const

/** What transformers 5.19 fills in where config.json leaves it out: files of Gemma 3 have no heads. */
const defaults: Readonly<Record<string, JsonObject>> = {
  gemma3_text: { num_attention_heads: 8, num_key_value_heads: 4, head_dim: 256 },
}

/** Throws `INVALID_FIELD` with the field that is missing, wrong or of an unknown layout. */
export function kvShapeOf(file: JsonValue, options: ShapeOptions = {}): KvShape {
  const given = languageModelOf(file)
  const modelType = typeof given.model_type === 'string' ? given.model_type : 'unknown'
  const config = { ...defaults[modelType], ...given }
  for (const field of unknownLayouts) {
    if (config[field] !== undefined && config[field] !== null && config[field] !== false) {
      throw refuse(field, 'describes a cache that cwm cannot compute')
    }
  }
  if (config.is_encoder_decoder === true)
    throw refuse('is_encoder_decoder', 'is true: only decoders have a KV cache per token')
  const notes: string[] = []
  const dtype = kvDtypeOf(config, isObject(file) ? file : config, options, notes)
  const layers = layersOf(config)
  const count = (kind: LayerKind) => layers.filter((one) => one === kind).length
  const perLayer = elementsOf(config, layers, notes)
  const bytes = elementBytes[dtype] ?? 0
  const slidingWindow = slidingWindowOf(config, layers)
  if (slidingWindow !== undefined) {
    notes.push(
      `${count('sliding')} layers read the last ${slidingWindow} tokens only: LMCache stores all of their tokens, a GPU only these. vLLM with --disable-hybrid-kv-cache-manager keeps all on the GPU, as LMCache does`,
    )
  }
  if (count('state') > 0) {
    notes.push(
      `${count('state')} layers keep a state instead of KV per token (Mamba, linear attention): the state is not counted. vLLM serves such a model only without --disable-hybrid-kv-cache-manager; check with cwm doctor --reset-engine-cache that LMCache restores it`,
    )
  }
  return {
    modelType,
    dtype,
    fullBytesPerToken: count('full') * perLayer.full * bytes,
    slidingBytesPerToken: count('sliding') * perLayer.sliding * bytes,
    slidingWindow,
    layers: { full: count('full'), sliding: count('sliding'), state: count('state') },
    kvHeads: perLayer.kvHeads,
    latent: perLayer.latent,
    notes,
  }
}

interface Elements {
  /** Elements per token in one layer. */
  readonly full: number
  readonly sliding: number
  readonly kvHeads: number
  readonly latent: boolean
}

function elementsOf(config: JsonObject, layers: readonly LayerKind[], notes: string[]): Elements {
  const rank = countOf(config, ['kv_lora_rank'])
  if (rank !== undefined) {
    // Multi-head latent attention: one compressed vector and one rotary key, for all heads.
    const elements = rank + requireCount(config, ['qk_rope_head_dim'])
    return { full: elements, sliding: elements, kvHeads: 1, latent: true }
  }
  const heads = requireCount(config, ['num_attention_heads', 'n_head', 'n_heads'])
  const kvHeads = kvHeadsOf(config, heads, notes)
  const size = headSizeOf(config, heads)
  // Gemma 4: layers with full attention have heads of their own size.
  const fullHeads = countOf(config, ['num_global_key_value_heads']) ?? kvHeads
  const fullSize = countOf(config, ['global_head_dim']) ?? size
  return {
    full: 2 * fullHeads * fullSize,
    sliding: 2 * kvHeads * size,
    kvHeads: layers.includes('full') ? Math.min(kvHeads, fullHeads) : kvHeads,
    latent: false,
  }
}

function kvHeadsOf(config: JsonObject, heads: number, notes: string[]): number {
  const found = countOf(config, ['num_key_value_heads', 'num_kv_heads', 'n_head_kv'])
  if (found !== undefined) return found
  notes.push(`no num_key_value_heads: counted as num_attention_heads (${heads})`)
  return heads
}

function headSizeOf(config: JsonObject, heads: number): number {
  const explicit = countOf(config, ['head_dim', 'attention_head_dim'])
  if (explicit !== undefined) return explicit
  const hidden = requireCount(config, ['hidden_size', 'n_embd', 'd_model'])
  if (hidden % heads !== 0) {
    throw refuse('head_dim', `is missing, and hidden_size ${hidden} is no multiple of num_attention_heads ${heads}`)
  }
  return hidden / heads
}
