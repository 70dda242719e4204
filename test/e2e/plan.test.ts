// `cwm plan` as a process: from a config.json without any server, and from a window of a running cwm.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess, type CliResult } from '../support/cli-process.ts'
import { prose } from '../support/conversation.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

let built: BuiltCwm
let stack: Stack
let folder: string

// Llama-3.1-8B (src/plan/kv-shape.test.ts has the source).
const llama = {
  model_type: 'llama',
  hidden_size: 4096,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  torch_dtype: 'bfloat16',
}

beforeAll(async () => {
  ;[built, stack, folder] = await Promise.all([buildCwm(), startStack(), mkdtemp(join(tmpdir(), 'cwm-plan-'))])
  await writeFile(join(folder, 'config.json'), JSON.stringify(llama))
  await writeFile(join(folder, 'unknown.json'), JSON.stringify({ ...llama, compress_ratios: [0, 4] }))
})

afterAll(async () => {
  await stack.close()
  await built.dispose()
  await rm(folder, { recursive: true, force: true })
})

function plan(...words: readonly string[]): Promise<CliResult> {
  return new CliProcess(built, ['plan', ...words], { cwd: folder, input: '', env: { CWM_URL: stack.url } }).result()
}

describe('cwm plan --model', () => {
  it('prints what a hundred windows of 100,000 tokens take, and when loading is slower than computing', async () => {
    const rates = ['--bandwidth', '7', '--bandwidth', '1.25', '--prefill-rate', '10000']
    const { out, err, ended } = await plan(
      '--model',
      '.',
      '--sessions',
      '1',
      '--context',
      '100000',
      '--windows',
      '100',
      ...rates,
    )

    expect({ err, ended }).toEqual({ err: '', ended: 0 })
    expect(out).toContain('KV per token  131,072 bytes (128 KiB)\n')
    expect(out).toContain('one context   100,000 tokens: 13.1 GB\n')
    expect(out).toContain(
      'load          at 7 GB/s: one context in 1.9 s, 100 windows in 3 min 7 s: faster than computing\n',
    )
    expect(out).toContain('at 1.25 GB/s: one context in 10.5 s, 100 windows in 17 min 29 s: SLOWER than computing\n')
    expect(out).toContain('prefill       one context in 10.0 s, 100 windows in 16 min 40 s\n')
    expect(out).toContain('break-even    1.31 GB/s: slower storage loses to computing\n')
  })

  it('prints what sliding layers keep of a session on a GPU', async () => {
    // Gemma 2 9B: 21 of 42 layers read the last 4,096 tokens.
    const gemma = { model_type: 'gemma2', head_dim: 256, num_attention_heads: 16, num_hidden_layers: 42 }
    const sliding = { num_key_value_heads: 8, sliding_window: 4096, torch_dtype: 'bfloat16' }
    await writeFile(join(folder, 'gemma.json'), JSON.stringify({ ...gemma, ...sliding }))

    const { out } = await plan('--model', 'gemma.json', '--context', '32000')

    expect(out).toContain('KV per token  344,064 bytes (336 KiB); on each GPU 168 KiB, and 705 MB a session\n')
    expect(out).toMatch(/^note: 21 layers read the last 4096 tokens only: .* --disable-hybrid-kv-cache-manager /m)
  })

  it('prints numbers for programs, and null where a number is not known', async () => {
    const { out } = await plan(
      '--model',
      'config.json',
      '--context',
      '100000',
      '--windows',
      '100',
      '--tp',
      '8',
      '--json',
    )

    expect(JSON.parse(out)).toMatchObject({
      bytes_per_token: 131_072,
      bytes_per_token_on_each_gpu: 16_384,
      sliding_bytes_per_session_on_each_gpu: 0,
      windows_bytes: 1_310_720_000_000,
      contexts_in_l1: null,
      prefill: null,
      loads: [{ bandwidth: 7e9, loading_is_slower: null }, { bandwidth: 1.25e9 }, { bandwidth: 12.5e9 }],
      proxies: { count: 1 },
    })
  })

  it.each([
    [
      ['--model', 'unknown.json', '--context', '1'],
      /^cwm: config\.json: `compress_ratios` describes a cache .* cwm plan --window NAME/,
    ],
    [['--model', 'config.json'], /^cwm: --context is missing/],
    [['--model', 'nowhere.json', '--context', '1'], /^cwm: --model: ENOENT/],
    [['--context', '1'], /^cwm: set either --model FILE .* or --window NAME/],
    [
      ['--model', 'config.json', '--context', '1', '--tp', '3'],
      /^cwm: --tp 3 must divide the model's 8 KV heads, or be a multiple of them/,
    ],
  ])('refuses %j, with exit code 2', async (words, wanted) => {
    const { out, err, ended } = await plan(...words)

    expect(err).toMatch(wanted)
    expect({ out, ended }).toEqual({ out: '', ended: 2 })
  })
})

describe('cwm plan --window', () => {
  it("takes bytes per token from LMCache's directory, and the prefill rate from the freeze", async () => {
    await rest(stack.url, 'PUT', '/windows/doc', { model: 'sim-model', document: prose(400) })
    const { receipt } = await settled(stack.url, 'doc')

    const { out, ended } = await plan('--window', 'doc', '--json')

    expect(ended).toBe(0)
    const shown: unknown = JSON.parse(out)
    expect(shown).toMatchObject({ model: 'sim-model', context: receipt?.tokens, bytes_per_token: 8_192 })
    expect(shown).toMatchObject({ prefill: { break_even_bandwidth: expect.any(Number) } })
  })

  it('says what is missing where the receipt has no size', async () => {
    await rest(stack.url, 'PUT', '/windows/short', { model: 'sim-model', document: 'short' })
    await settled(stack.url, 'short')

    const { err, ended } = await plan('--window', 'short')

    expect(err).toMatch(/^cwm: the receipt of window short has no chunk_bytes: /)
    expect(ended).toBe(2)
  })
})
