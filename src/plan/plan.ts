// What a deployment needs: bytes of KV in each tier, bytes in the store, proxies, and whether loading KV beats computing it. Pure arithmetic
// on measured and given numbers; every assumption is in the result.

import { CwmError } from '../base/errors.ts'
import type { KvShape } from './kv-shape.ts'
import { CORE_SHARE, type StoreSizes, storeSizes, TEXT_BYTES_PER_TOKEN, turnCpu } from './measured.ts'

/** Bytes of KV per token, and where the number comes from. */
export interface TokenBytes {
  /** As LMCache stores them: all layers and ranks. */
  readonly stored: number
  /** On each GPU, of layers that keep every token. */
  readonly perRank: number | null
  /** Further bytes on each GPU for each session: the sliding layers' window. */
  readonly slidingPerSession: number | null
}

export interface PlanInput {
  readonly bytes: TokenBytes
  readonly sessions: number
  /** Tokens of a session or window. */
  readonly context: number
  readonly windows: number
  /** Turns of one session. */
  readonly turns: number
  readonly turnsPerMinute: number
  /** Tokens of an answer. */
  readonly answer: number
  /** Bytes of LMCache's memory; undefined if not given. */
  readonly l1Bytes: number | undefined
  /** Bytes a second between storage and engine; empty: typical links. */
  readonly bandwidths: readonly number[]
  /** Tokens a second that the engine prefills; undefined if not given. */
  readonly prefillRate: number | undefined
}

export interface LoadPlan {
  /** Bytes a second. */
  readonly bandwidth: number
  readonly contextSeconds: number
  /** Of all windows, one after the other at this rate. */
  readonly windowsSeconds: number
  /** Null if the prefill rate is not known. */
  readonly loadingIsSlower: boolean | null
}

export interface Plan {
  readonly bytesPerToken: number
  /** Of layers that keep every token. Null if it is not known. */
  readonly bytesPerTokenOnEachGpu: number | null
  /** Of sliding layers, which keep a window of this size at most. Null if it is not known. */
  readonly slidingBytesPerSessionOnEachGpu: number | null
  readonly contextBytes: number
  readonly sessionsBytes: number
  readonly windowsBytes: number
  readonly l2Bytes: number
  /** Contexts that fit into LMCache's memory at once; null if its size was not given. */
  readonly contextsInL1: number | null
  readonly sqliteBytes: number
  readonly redisBytes: number
  readonly proxies: { readonly requestsPerSecond: number; readonly cores: number; readonly count: number }
  readonly loads: readonly LoadPlan[]
  /** Null if the prefill rate is not known. */
  readonly prefill: {
    readonly contextSeconds: number
    readonly windowsSeconds: number
    readonly breakEvenBandwidth: number
  } | null
  /** The assumptions behind the numbers, as sentences. */
  readonly assumptions: readonly string[]
}

/** Typical links: an NVMe drive, 10 and 100 gigabit Ethernet without losses. */
const TYPICAL_BANDWIDTHS = [7e9, 1.25e9, 12.5e9]

/** Bytes per token of a model on `tp` GPUs. Throws `INVALID_FIELD` if its heads cannot be divided among them. */
export function tokenBytesOf(shape: KvShape, tp: number): TokenBytes {
  const { kvHeads, latent, fullBytesPerToken: full, slidingBytesPerToken: sliding, slidingWindow = 0 } = shape
  // A latent cache is on every GPU, and LMCache stores it once (docs/engine-behavior.md#bytes-of-kv).
  if (latent) return { stored: full + sliding, perRank: full, slidingPerSession: sliding * slidingWindow }
  if (kvHeads % tp !== 0 && tp % kvHeads !== 0) {
    const message = `--tp ${tp} must divide the model's ${kvHeads} KV heads, or be a multiple of them`
    throw new CwmError('INVALID_FIELD', message, { param: '--tp' })
  }
  const copies = Math.max(1, tp / kvHeads)
  return {
    stored: (full + sliding) * copies,
    perRank: (full * copies) / tp,
    slidingPerSession: (sliding * copies * slidingWindow) / tp,
  }
}

export function planOf(input: PlanInput): Plan {
  const { bytes, sessions, context, windows, l1Bytes, bandwidths, prefillRate } = input
  const contextBytes = bytes.stored * context
  const [sessionsBytes, windowsBytes] = [contextBytes * sessions, contextBytes * windows]
  const breakEven = prefillRate === undefined ? undefined : bytes.stored * prefillRate
  const loads = (bandwidths.length === 0 ? TYPICAL_BANDWIDTHS : bandwidths).map((bandwidth) => ({
    bandwidth,
    contextSeconds: contextBytes / bandwidth,
    windowsSeconds: windowsBytes / bandwidth,
    loadingIsSlower: breakEven === undefined ? null : bandwidth < breakEven,
  }))
  return {
    bytesPerToken: bytes.stored,
    bytesPerTokenOnEachGpu: bytes.perRank,
    slidingBytesPerSessionOnEachGpu: bytes.slidingPerSession,
    contextBytes,
    sessionsBytes,
    windowsBytes,
    l2Bytes: sessionsBytes + windowsBytes,
    contextsInL1: l1Bytes === undefined ? null : Math.floor(l1Bytes / contextBytes),
    sqliteBytes: storeBytes(input, storeSizes.sqlite),
    redisBytes: storeBytes(input, storeSizes.redis),
    proxies: proxiesOf(input),
    loads,
    prefill:
      prefillRate === undefined || breakEven === undefined
        ? null
        : {
            contextSeconds: context / prefillRate,
            windowsSeconds: (windows * context) / prefillRate,
            breakEvenBandwidth: breakEven,
          },
    assumptions: assumptionsOf(input),
  }
}

function assumptionsOf({ turns, turnsPerMinute, answer }: PlanInput): readonly string[] {
  return [
    'L2: every session and window at full length, and nothing shared among them',
    `store: ${turns} turns a session, ${TEXT_BYTES_PER_TOKEN} bytes of text a token in windows`,
    `proxies: ${turnsPerMinute} turns a minute and session, each sending its whole context (${TEXT_BYTES_PER_TOKEN} bytes a token) and answered with ${answer} events; one process at most ${CORE_SHARE * 100}% of a core, as measured in docs/performance.md`,
    'load: the storage does nothing else, and the engine waits for it',
  ]
}

function storeBytes({ sessions, turns, windows, context }: PlanInput, size: StoreSizes): number {
  const ofSessions = sessions * (size.perSession + turns * size.perTurn)
  return Math.round(ofSessions + windows * (size.perWindow + context * size.perWindowToken))
}

/** Each turn sends the whole context, as chat clients do. */
function proxiesOf({ sessions, turnsPerMinute, context, answer }: PlanInput): Plan['proxies'] {
  const requestsPerSecond = (sessions * turnsPerMinute) / 60
  const kilobytes = (context * TEXT_BYTES_PER_TOKEN) / 1_000
  const micros = turnCpu.fixedMicros + turnCpu.microsPerKilobyte * kilobytes + turnCpu.microsPerEvent * answer
  const cores = (requestsPerSecond * micros) / 1e6
  return { requestsPerSecond, cores, count: Math.max(1, Math.ceil(cores / CORE_SHARE)) }
}
