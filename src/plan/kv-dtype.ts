// The data type of a KV cache: what the operator sets, what the checkpoint's quantization says, or the model's own type.

import { CwmError } from '../base/errors.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { refuse } from './read-config.ts'

export interface ShapeOptions {
  /** vLLM's `--dtype`; undefined or `auto`: as the file says. */
  readonly dtype?: string | undefined
  /** vLLM's `--kv-cache-dtype`; undefined or `auto`: the model's own type. */
  readonly kvCacheDtype?: string | undefined
}

export const elementBytes: Readonly<Record<string, number>> = {
  float32: 4,
  float: 4,
  bfloat16: 2,
  float16: 2,
  half: 2,
  fp8: 1,
  fp8_e4m3: 1,
  fp8_e5m2: 1,
}

/** vLLM's name of the type. Adds to `notes` what it had to assume. Throws `INVALID_FIELD` for a type that it does not know. */
export function kvDtypeOf(
  config: JsonObject,
  file: JsonObject,
  { dtype, kvCacheDtype }: ShapeOptions,
  notes: string[],
): string {
  if (kvCacheDtype !== undefined && kvCacheDtype !== 'auto') return checkedDtype(kvCacheDtype, '--kv-cache-dtype')
  if (isQuantized([config, file], notes)) return 'fp8'
  if (dtype !== undefined && dtype !== 'auto') return checkedDtype(dtype, '--dtype')
  const named = [config.dtype, config.torch_dtype, file.dtype, file.torch_dtype].find((one) => typeof one === 'string')
  if (named === undefined) {
    notes.push('config.json has no dtype: counted as bfloat16; set --dtype')
    return 'bfloat16'
  }
  if (named === 'float32') {
    // docs/engine-behavior.md#bytes-of-kv
    notes.push(
      'a float32 model is served in 16 bits by --dtype auto: counted as bfloat16; set --dtype float32 if vLLM has it',
    )
    return 'bfloat16'
  }
  return checkedDtype(`${named}`, 'dtype')
}

/** Whether the checkpoint asks for 8-bit KV, which vLLM follows for NVIDIA's ModelOpt (docs/engine-behavior.md#bytes-of-kv). */
function isQuantized(places: readonly JsonObject[], notes: string[]): boolean {
  const quantization = places.map((place) => place.quantization_config).find((one) => isObject(one))
  if (!isObject(quantization)) return false
  const inner = isObject(quantization.quantization) ? quantization.quantization : quantization
  const scheme = inner.kv_cache_scheme ?? quantization.kv_cache_scheme ?? inner.kv_cache_quant_algo
  if (scheme === undefined || scheme === null) return false
  if (!`${quantization.quant_method}`.startsWith('modelopt')) {
    notes.push('quantization_config has a kv_cache_scheme: set --kv-cache-dtype fp8 if the engine uses it')
    return false
  }
  const is8Bit = isObject(scheme) ? scheme.num_bits === 8 && scheme.type === 'float' : /^fp8$/i.test(`${scheme}`)
  if (!is8Bit) throw refuse('quantization_config', 'has a KV cache that is not FP8, whose size cwm does not know')
  notes.push('quantization_config asks for KV in 8 bits: counted as fp8')
  return true
}

function checkedDtype(name: string, field: string): string {
  if (Object.hasOwn(elementBytes, name)) return name
  throw new CwmError(
    'INVALID_FIELD',
    `${field}: unknown data type ${JSON.stringify(name)}; known are auto, ${Object.keys(elementBytes).join(', ')}`,
    { param: field },
  )
}
