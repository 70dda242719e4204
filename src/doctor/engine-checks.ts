// Checks of the engine: that it answers, what it reports about itself, and that salts keep its KV apart.

import type { Check } from './check.ts'
import type { Probe } from './facts.ts'
import { failed, ok, skipped, warning } from './finding.ts'

const MAX_SKEW_MS = 5_000
const DETAILS = 'start vLLM with --enable-prompt-tokens-details'

export const engineChecks: readonly Check[] = [
  {
    id: 'upstream',
    scope: 'each',
    title: 'The engine answers',
    proves: 'cwm reaches the upstream, which reports its version',
    run: async (facts) => {
      const { version, answer } = await facts.version()
      await facts.model()
      const words = `answered in ${Math.round(answer.ms)} ms`
      if (version !== undefined) return ok(`vLLM ${version}, ${words}`)
      return warning(
        `${words}; it reports no version (GET /version: ${answer.status})`,
        'nothing to do if the engine is not vLLM; the other checks are still valid',
      )
    },
  },
  {
    id: 'limit',
    scope: 'each',
    title: 'The context limit is known',
    proves: 'cwm knows when a context is full, and when to reject or cut',
    run: async (facts) => {
      const { id, engineName, limit, contextLimit } = await facts.model()
      if (limit === undefined) {
        return failed(
          `/v1/models reports no max_model_len for ${id}`,
          `set it in the settings file: limits: { ${JSON.stringify(id)}: <tokens> }`,
        )
      }
      const held = contextLimit === limit ? '' : `, limited to ${contextLimit} by the setting limits`
      return ok(`${id} (${engineName}): ${limit} tokens${held}`)
    },
  },
  {
    id: 'usage-details',
    scope: 'each',
    title: 'Cached tokens are reported',
    proves: 'receipts can show what was restored, and cold turns are detected',
    run: async (facts) => {
      const { second, tokens } = await facts.probe()
      if (second === undefined) return failed('usage does not contain prompt_tokens_details.cached_tokens', DETAILS)
      return ok(`a call with ${tokens} tokens reported cached_tokens: ${second}`)
    },
  },
  {
    id: 'prefix-caching',
    scope: 'each',
    title: 'Prefix caching is on',
    proves: 'a prompt that was sent before is not computed again',
    run: async (facts) => {
      const probe = await facts.probe()
      const { second, tokens, coldMs, warmMs } = probe
      if (second === undefined) return skipped(`the engine does not report cached tokens: ${DETAILS}`)
      const times = `${Math.round(coldMs)} ms, then ${Math.round(warmMs)} ms`
      const told = `${second} of ${tokens} tokens cached the second time (${times})`
      if ((await facts.cacheSetting('enable_prefix_caching')) === 'False') {
        return failed(
          `the engine's metrics report enable_prefix_caching="False"; ${told}`,
          'start vLLM without --no-enable-prefix-caching',
        )
      }
      if (second === 0) return failed(told, 'start vLLM with --enable-prefix-caching')
      if (second <= probe.chunks * probe.chunkSize && second < tokens - probe.chunkSize / 2) {
        return warning(
          `${told}: no more than LMCache's whole chunks`,
          "check that vLLM's prefix caching is on (--enable-prefix-caching); with blocks larger than half a chunk, this is expected",
        )
      }
      return ok(told)
    },
  },
  {
    id: 'salt-engine',
    scope: 'each',
    title: 'The engine keeps salts apart',
    proves: 'a prompt hits under its own cache_salt and misses under another one, tried just now',
    run: async (facts) => judgeSaltIsolation(await facts.probe()),
  },
  {
    id: 'clock',
    scope: 'each',
    title: 'The clocks agree',
    proves: "times in receipts and the engine's log can be compared",
    run: async (facts) => {
      const { headers } = await facts.ask('GET', '/version')
      const told = Date.parse(headers.get('date') ?? '')
      if (Number.isNaN(told)) return skipped('the engine sends no Date')
      // A Date header has whole seconds.
      const skew = Math.round((facts.parts.now() - told) / 1_000)
      if (Math.abs(skew) * 1_000 <= MAX_SKEW_MS) return ok(`${Math.abs(skew)} s apart, to the second`)
      return warning(
        `cwm's clock is ${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} the engine's`,
        'synchronize the clocks of both machines (NTP)',
      )
    },
  },
]

function judgeSaltIsolation({ first, second, other, tokens }: Probe) {
  if (second === undefined) return skipped(`the engine does not report cached tokens: ${DETAILS}`)
  const seen = `salt A: ${first} then ${second} of ${tokens} tokens cached; salt B: ${other}`
  if ((other ?? 0) > 0) {
    return failed(
      `${seen}: UNSAFE, KV is shared between salts, so tenants can find out what others have sent`,
      'use the multiprocess connector (LMCacheMPConnector): the in-process LMCacheConnectorV1 ignores salts (LMCache issue 2878); or use an engine that supports cache_salt (vLLM 0.9 or later)',
    )
  }
  if ((first ?? 0) > 0) {
    return failed(
      `${seen}: a prompt that nobody had sent before was reported as cached`,
      'the engine miscounts cached tokens, so receipts based on its figures are unreliable',
    )
  }
  if (second === 0) return skipped(`${seen}: nothing was cached, so this proves nothing`)
  return ok(seen)
}
