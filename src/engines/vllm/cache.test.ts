import { expect, it } from 'vitest'
import { cacheTokensIn } from './cache.ts'

const line = (labels: string) => `# TYPE vllm:cache_config_info gauge\nvllm:cache_config_info{${labels}} 1.0\n`

it('is the size that the engine shows, or blocks times their size', () => {
  expect(cacheTokensIn(line('block_size="16",kv_cache_size_tokens="1000",num_gpu_blocks="64"'))).toBe(1_000)
  expect(cacheTokensIn(line('block_size="16",num_gpu_blocks="64"'))).toBe(1_024)
})

it('is the sum over engine cores', () => {
  const cores =
    line('block_size="16",engine="0",num_gpu_blocks="64"') + line('block_size="16",engine="1",num_gpu_blocks="32"')

  expect(cacheTokensIn(cores)).toBe(1_536)
})

it('is unknown without the metric, or before the cache is allocated', () => {
  expect(cacheTokensIn('vllm:num_requests_running 0.0\n')).toBeUndefined()
  expect(cacheTokensIn(line('block_size="16",kv_cache_size_tokens="None",num_gpu_blocks="None"'))).toBeUndefined()
})
