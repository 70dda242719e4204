// Bytes of KV per token of published models. The fields are those of their config.json, as in ai-dynamo/aiconfigurator
// (aic-core/src/aiconfigurator_core/model_configs, commit 095f58a) unless a comment names another source.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../base/json.ts'
import { kvShapeOf } from './kv-shape.ts'
import { parseConfig } from './read-config.ts'

const llama8b = {
  model_type: 'llama',
  hidden_size: 4096,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  torch_dtype: 'bfloat16',
}
const alternating = (count: number, every: number, slow: string, fast: string) =>
  Array.from({ length: count }, (_, at) => ((at + 1) % every === 0 ? slow : fast))

const gptOss20b = {
  model_type: 'gpt_oss',
  head_dim: 64,
  hidden_size: 2880,
  layer_types: alternating(24, 2, 'full_attention', 'sliding_attention'),
  num_attention_heads: 64,
  num_hidden_layers: 24,
  num_key_value_heads: 8,
  sliding_window: 128,
}

/** The size of the first placement that the real coordinator recorded. */
function recordedChunkBytes(): number {
  const recorded = readFileSync(new URL('../../test/recorded/lmcache-coordinator.json', import.meta.url), 'utf8')
  return Number(/"size_bytes": *(\d+)/.exec(recorded)?.[1])
}

describe('kvShapeOf', () => {
  it.each<[string, JsonObject, full: number, sliding: number]>([
    ['Llama-3.1-8B: 128 KiB', llama8b, 131_072, 0],
    ['Llama-3.1-70B', { ...llama8b, hidden_size: 8192, num_attention_heads: 64, num_hidden_layers: 80 }, 327_680, 0],
    [
      'Qwen3-8B, whose sliding window is off',
      {
        model_type: 'qwen3',
        head_dim: 128,
        hidden_size: 4096,
        max_window_layers: 36,
        num_attention_heads: 32,
        num_hidden_layers: 36,
        num_key_value_heads: 8,
        sliding_window: null,
        torch_dtype: 'bfloat16',
        use_sliding_window: false,
      },
      147_456,
      0,
    ],
    [
      // 64 heads of 128 in a hidden size of 5120: only head_dim tells.
      'Qwen3-32B',
      {
        model_type: 'qwen3',
        head_dim: 128,
        hidden_size: 5120,
        num_attention_heads: 64,
        num_hidden_layers: 64,
        num_key_value_heads: 8,
        torch_dtype: 'bfloat16',
      },
      262_144,
      0,
    ],
    ['Mixtral-8x7B-v0.1', { ...llama8b, model_type: 'mixtral', sliding_window: null }, 131_072, 0],
    ['gpt-oss-20b: half of its layers slide over 128 tokens', gptOss20b, 24_576, 24_576],
    [
      'DeepSeek-V3: 512 + 64 latent values a layer',
      {
        model_type: 'deepseek_v3',
        hidden_size: 7168,
        kv_lora_rank: 512,
        num_attention_heads: 128,
        num_hidden_layers: 61,
        num_key_value_heads: 128,
        qk_nope_head_dim: 128,
        qk_rope_head_dim: 64,
        torch_dtype: 'bfloat16',
        v_head_dim: 128,
      },
      70_272,
      0,
    ],
    [
      // text_config of google/gemma-3-12b-it as quoted in Comfy-Org code: no head_dim, no layer_types.
      'Gemma-3-12B, whose file leaves out what its class fills in',
      {
        model_type: 'gemma3',
        text_config: {
          hidden_size: 3840,
          model_type: 'gemma3_text',
          num_attention_heads: 16,
          num_hidden_layers: 48,
          num_key_value_heads: 8,
          sliding_window: 1024,
        },
        torch_dtype: 'bfloat16',
      },
      65_536,
      327_680,
    ],
    [
      'Gemma-3-4B, whose file has no heads at all',
      {
        model_type: 'gemma3',
        text_config: { hidden_size: 2560, model_type: 'gemma3_text', num_hidden_layers: 34, sliding_window: 1024 },
        torch_dtype: 'bfloat16',
      },
      20_480,
      118_784,
    ],
    [
      'Gemma-4-26B-A4B, whose full layers have heads of their own',
      {
        model_type: 'gemma4',
        text_config: {
          model_type: 'gemma4_text',
          dtype: 'bfloat16',
          global_head_dim: 512,
          head_dim: 256,
          hidden_size: 2816,
          layer_types: alternating(30, 6, 'full_attention', 'sliding_attention'),
          num_attention_heads: 16,
          num_global_key_value_heads: 2,
          num_hidden_layers: 30,
          num_key_value_heads: 8,
          num_kv_shared_layers: 0,
          sliding_window: 1024,
        },
      },
      20_480,
      204_800,
    ],
    [
      'Qwen3.5-27B: every fourth layer has KV',
      {
        model_type: 'qwen3_5',
        text_config: {
          model_type: 'qwen3_5_text',
          dtype: 'bfloat16',
          head_dim: 256,
          hidden_size: 5120,
          layer_types: alternating(64, 4, 'full_attention', 'linear_attention'),
          num_attention_heads: 24,
          num_hidden_layers: 64,
          num_key_value_heads: 4,
        },
      },
      65_536,
      0,
    ],
    [
      // Its file has an interval in place of a list.
      'Qwen3-Next-80B-A3B: 12 of 48 layers have KV',
      {
        model_type: 'qwen3_next',
        full_attention_interval: 4,
        head_dim: 256,
        hidden_size: 2048,
        linear_key_head_dim: 128,
        linear_num_value_heads: 32,
        num_attention_heads: 16,
        num_hidden_layers: 48,
        num_key_value_heads: 2,
        torch_dtype: 'bfloat16',
      },
      24_576,
      0,
    ],
    [
      'Nemotron-3-Nano-30B: six attention layers of 52',
      {
        model_type: 'nemotron_h',
        head_dim: 128,
        hidden_size: 2688,
        hybrid_override_pattern: 'MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME',
        num_attention_heads: 32,
        num_hidden_layers: 52,
        num_key_value_heads: 2,
        torch_dtype: 'bfloat16',
      },
      6_144,
      0,
    ],
    [
      // The first seven of Nemotron-3.5-Lightning's 52 layers.
      'a list of blocks instead of layer types',
      {
        model_type: 'nemotron_h',
        dtype: 'bfloat16',
        head_dim: 128,
        hidden_size: 2688,
        layers_block_type: ['mamba', 'moe', 'mamba', 'moe', 'mamba', 'attention', 'moe'],
        mamba_num_heads: 64,
        num_attention_heads: 32,
        num_key_value_heads: 2,
      },
      1_024,
      0,
    ],
  ])('%s', (_, config, full, sliding) => {
    const shape = kvShapeOf(config)

    expect([shape.fullBytesPerToken, shape.slidingBytesPerToken]).toEqual([full, sliding])
  })

  it('halves the bytes with an FP8 cache, and doubles them with float32', () => {
    expect(kvShapeOf(llama8b, { kvCacheDtype: 'fp8' }).fullBytesPerToken).toBe(65_536)
    expect(kvShapeOf(llama8b, { dtype: 'float32' }).fullBytesPerToken).toBe(262_144)
    expect(kvShapeOf(llama8b, { dtype: 'auto', kvCacheDtype: 'auto' }).dtype).toBe('bfloat16')
  })

  // MiniMax-M2.5-NVFP4 and others of NVIDIA, in the same folder.
  it('follows a checkpoint of ModelOpt that asks for 8-bit KV, and only such a one', () => {
    const scheme = { kv_cache_scheme: { dynamic: false, num_bits: 8, type: 'float' } }
    const modelopt = { ...llama8b, quantization_config: { quant_method: 'modelopt', ...scheme } }

    expect(kvShapeOf(modelopt)).toMatchObject({ dtype: 'fp8', fullBytesPerToken: 65_536 })
    expect(kvShapeOf(modelopt, { kvCacheDtype: 'bfloat16' }).dtype).toBe('bfloat16')
    expect(
      kvShapeOf({ ...llama8b, quantization_config: { quant_method: 'compressed-tensors', ...scheme } }),
    ).toMatchObject({
      dtype: 'bfloat16',
      notes: [expect.stringContaining('set --kv-cache-dtype fp8')],
    })
  })

  // The model of scripts/engine, and the size_bytes that LMCache's directory recorded for its chunks of 256 tokens.
  it('agrees with what the real LMCache stored for a chunk', () => {
    const tiny = {
      ...llama8b,
      hidden_size: 256,
      head_dim: 64,
      num_attention_heads: 4,
      num_hidden_layers: 4,
      num_key_value_heads: 4,
    }

    expect(256 * kvShapeOf(tiny, { dtype: 'float32' }).fullBytesPerToken).toBe(recordedChunkBytes())
  })

  it('reads files with Infinity and NaN, which Python writes', () => {
    const text = `{"time_step_limit": [0.0, Infinity], "x": NaN, "note": "Infinity, and beyond"}`

    expect(parseConfig(text)).toEqual({ time_step_limit: [0, null], x: null, note: 'Infinity, and beyond' })
    expect(() => parseConfig('{')).toThrow(expect.objectContaining({ code: 'INVALID_FIELD' }))
  })

  it('says what it assumed', () => {
    expect(kvShapeOf(gptOss20b).notes).toEqual([
      'config.json has no dtype: counted as bfloat16; set --dtype',
      '12 layers read the last 128 tokens only: LMCache stores all of their tokens, a GPU only these. vLLM with --disable-hybrid-kv-cache-manager keeps all on the GPU, as LMCache does',
    ])
    const { num_key_value_heads: _, ...mha } = llama8b
    expect(kvShapeOf(mha).notes).toEqual(['no num_key_value_heads: counted as num_attention_heads (32)'])
    expect(kvShapeOf({ ...llama8b, torch_dtype: 'float32' }).notes).toEqual([
      expect.stringContaining('counted as bfloat16'),
    ])
  })

  it('says that layers with a state are not counted', () => {
    const shape = kvShapeOf({
      ...llama8b,
      layer_types: alternating(32, 4, 'full_attention', 'mamba'),
    })

    expect(shape.layers).toEqual({ full: 8, sliding: 0, state: 24 })
    expect(shape.notes).toEqual([expect.stringMatching(/^24 layers keep a state instead of KV per token/)])
  })

  it('counts layers that read the KV of earlier ones as none', () => {
    expect(kvShapeOf({ ...llama8b, num_kv_shared_layers: 12 }).layers.full).toBe(20)
  })

  it.each<[string, JsonObject, field: string]>([
    ['no layers', { model_type: 'x', hidden_size: 10, num_attention_heads: 2 }, 'num_hidden_layers'],
    ['no heads', { ...llama8b, num_attention_heads: null }, 'num_attention_heads'],
    ['heads that are no number', { ...llama8b, num_key_value_heads: 'eight' }, 'num_key_value_heads'],
    ['sparse attention', { ...llama8b, sparse_attention_config: {} }, 'sparse_attention_config'],
    [
      'a 4-bit cache',
      {
        ...llama8b,
        quantization_config: { quant_method: 'modelopt', kv_cache_scheme: { num_bits: 4, type: 'float' } },
      },
      'quantization_config',
    ],
    ['a sparse-attention index', { ...llama8b, index_head_dim: 128 }, 'index_head_dim'],
    ['a compressed cache', { ...llama8b, compress_ratios: [0, 4] }, 'compress_ratios'],
    ['a latent cache without its rotary part', { ...llama8b, kv_lora_rank: 512 }, 'qk_rope_head_dim'],
    ['Mamba heads in layers that nothing tells apart', { ...llama8b, mamba_num_heads: 64 }, 'mamba_num_heads'],
    ['an unknown type of layer', { ...llama8b, layer_types: Array(32).fill('hyena') }, 'layer_types'],
    ['a list of another length', { ...llama8b, layer_types: ['full_attention'] }, 'layer_types'],
    ['a head size that is nowhere', { ...llama8b, hidden_size: 4100 }, 'head_dim'],
    ['an encoder', { ...llama8b, is_encoder_decoder: true }, 'is_encoder_decoder'],
    ['an unknown data type', { ...llama8b, torch_dtype: 'int3' }, 'dtype'],
  ])('refuses %s and names the field', (_, config, param) => {
    expect(() => kvShapeOf(config)).toThrow(expect.objectContaining({ code: 'INVALID_FIELD', param }))
  })

  it('refuses what is no object', () => {
    expect(() => kvShapeOf([])).toThrow(expect.objectContaining({ code: 'INVALID_FIELD' }))
  })
})
