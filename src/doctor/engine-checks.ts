// The engine: that it is there, what it says of itself, and that a salt keeps its KV apart.

import type { Check } from './check.ts'
import type { Facts, Probe } from './facts.ts'
import { failed, ok, skipped, warning } from './finding.ts'

const MAX_SKEW_MS = 5_000
const DETAILS = 'start vLLM with --enable-prompt-tokens-details'

export const engineChecks: readonly Check[] = [
  {
    id: 'upstream',
    title: 'The engine answers',
    proves: 'cwm reaches the upstream, and it says its version',
    run: async (facts) => {
      const answer = await facts.parts.ask('GET', '/version', facts.signal)
      const version = /"version"\s*:\s*"([^"]{1,40})"/.exec(answer.text)?.[1]
      await facts.model()
      const words = `answered in ${Math.round(answer.ms)} ms`
      if (answer.status === 200 && version !== undefined) return ok(`vLLM ${version}, ${words}`)
      return warning(
        `${words}; it names no version (GET /version: ${answer.status})`,
        'nothing to do if it is another engine than vLLM; what the other lines prove holds all the same',
      )
    },
  },
  {
    id: 'limit',
    title: 'The context limit is known',
    proves: 'cwm knows when a context is full, and what is refused or cut',
    run: async (facts) => {
      const { id, engineName, limit, contextLimit } = await facts.model()
      if (limit === undefined) {
        return failed(
          `/v1/models says no max_model_len of ${id}`,
          `give it in the settings: limits: { ${JSON.stringify(id)}: <tokens> }`,
        )
      }
      const held = contextLimit === limit ? '' : `, held to ${contextLimit} by the setting limits`
      return ok(`${id} (${engineName}): ${limit} tokens${held}`)
    },
  },
  {
    id: 'usage-details',
    title: 'Cached tokens are reported',
    proves: 'receipts can say what was restored, and cold turns are noticed',
    run: async (facts) => {
      const { second, tokens } = await facts.probe()
      if (second === undefined) return failed('usage has no prompt_tokens_details.cached_tokens', DETAILS)
      return ok(`a call of ${tokens} tokens said cached_tokens: ${second}`)
    },
  },
  {
    id: 'prefix-caching',
    title: 'Prefix caching is on',
    proves: 'a prompt that was sent before is not computed again',
    run: async (facts) => {
      const probe = await facts.probe()
      const { second, tokens, coldMs, warmMs } = probe
      if (second === undefined) return skipped(`the engine does not report cached tokens: ${DETAILS}`)
      const times = `${Math.round(coldMs)} ms, then ${Math.round(warmMs)} ms`
      const told = `${second} of ${tokens} tokens cached the second time (${times})`
      if (await prefixCachingIsOff(facts)) {
        return failed(
          `the engine's metrics say enable_prefix_caching="False"; ${told}`,
          'start vLLM without --no-enable-prefix-caching',
        )
      }
      if (second === 0) return failed(told, 'start vLLM with --enable-prefix-caching')
      if (second <= probe.chunks * probe.chunkSize && second < tokens - probe.chunkSize / 2) {
        return warning(
          `${told}: no more than LMCache's whole chunks`,
          "see that vLLM's prefix caching is on (--enable-prefix-caching); with blocks larger than half a chunk this is as it should be",
        )
      }
      return ok(told)
    },
  },
  {
    id: 'salt-engine',
    title: 'The engine keeps salts apart',
    proves: 'the same prompt hits under the same cache_salt and misses under another, as it was just sent',
    run: async (facts) => judgeSaltIsolation(await facts.probe()),
  },
  {
    id: 'clock',
    title: 'The clocks agree',
    proves: "times in receipts and the engine's log can be compared",
    run: async (facts) => {
      const { headers } = await facts.parts.ask('GET', '/version', facts.signal)
      const told = Date.parse(headers.get('date') ?? '')
      if (Number.isNaN(told)) return skipped('the engine sends no Date')
      // A Date header has whole seconds.
      const skew = Math.round((facts.parts.now() - told) / 1_000)
      if (Math.abs(skew) * 1_000 <= MAX_SKEW_MS) return ok(`${Math.abs(skew)} s apart, to the second`)
      return warning(
        `cwm's clock is ${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} the engine's`,
        'keep both machines in time (NTP)',
      )
    },
  },
]

function judgeSaltIsolation({ first, second, other, tokens }: Probe) {
  if (second === undefined) return skipped(`the engine does not report cached tokens: ${DETAILS}`)
  const seen = `salt A: ${first} then ${second} of ${tokens} tokens cached; salt B: ${other}`
  if ((other ?? 0) > 0) {
    return failed(
      `${seen}: UNSAFE, KV crosses from one salt to another, and tenants can tell what others have sent`,
      'use the multiprocess connector (LMCacheMPConnector): the in-process LMCacheConnectorV1 ignores salts (LMCache issue 2878); or an engine that knows cache_salt (vLLM 0.9 or later)',
    )
  }
  if ((first ?? 0) > 0) {
    return failed(
      `${seen}: a prompt that nobody had sent was cached`,
      'the engine counts cached tokens wrongly: no receipt of it can be believed',
    )
  }
  if (second === 0) return skipped(`${seen}: with nothing cached, nothing is proved`)
  return ok(seen)
}

/** What the engine's metrics say of it, where they can be read. */
async function prefixCachingIsOff({ parts, signal }: Facts): Promise<boolean> {
  const { status, text } = await parts.ask('GET', '/metrics', signal)
  return status === 200 && /enable_prefix_caching="False"/.test(text)
}
