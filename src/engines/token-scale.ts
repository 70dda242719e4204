// Coarse factors between an engine's tokenizer and `typicalTokens`, per model, measured once with fixed texts. Cuts of histories depend on
// them, so they must be the same on every proxy and after every restart. That is why the texts are fixed and the grid is coarse.

import { LRUCache } from 'lru-cache'
import { isFinalRefusal } from '../base/errors.ts'
import { SingleFlight } from '../base/single-flight.ts'
import { type TokenScale, typicalTokens, UNSCALED } from '../limits/typical.ts'
import type { CallOptions, Engine } from './engine.ts'

/** Changing a text or the grid moves the cuts of all running histories. */
const ASCII_TEXTS = [
  'The harbour opens at six. Whoever brings fish weighs it first, writes the weight into the blue book and signs beside it; nobody is ' +
    'paid from memory. Last winter three boats were late because of the ice, and their owners still argue about the difference.',
  'export function widestGap(times: readonly number[]): number {\n  let widest = 0\n  for (let at = 1; at < times.length; at++) {\n' +
    '    const gap = (times[at] ?? 0) - (times[at - 1] ?? 0)\n    if (gap > widest) widest = gap\n  }\n  return widest\n}\n',
  '2026-03-14 09:26:53  14.75  1,208.00  +49 30 901820  0x7f3a  550  8080  31337  0.000125  99.98%  7 11 13 17 19',
  '{"order": {"id": "A-1047", "items": [{"sku": "net-40", "count": 2, "price": 18.5}, {"sku": "rope", "count": 1}], "paid": false}}',
]
const OTHER_TEXTS = [
  'Лодки вернулись до рассвета, и рыбаки молча разгружали улов.',
  '船在天亮之前回来了，渔民们默默地卸下当天的收获。',
]
const GRID = [1, 1.25, 1.5, 2, 2.5, 3, 4, 6, 8] as const
const LARGEST = 8
const MAX_MODELS = 256
/** How long to wait before asking again for a model that could not be counted. The engine may be restarted with the missing endpoint. */
const UNKNOWN_MS = 60_000

type CountingEngine = Pick<Engine, 'countText'>

export class TokenScales {
  readonly #known = new LRUCache<string, TokenScale>({ max: MAX_MODELS })
  /** By model and API key, because one key's rejection does not apply to another key. */
  readonly #asking = new SingleFlight<TokenScale>()

  /**
   * The factors for `typicalTokens` for this model; unscaled if `/tokenize` is missing or finally rejects the call. Measured once per
   * model, with any engine that serves it. Throws other errors of `countText`; the next call then measures again.
   */
  async of(engine: CountingEngine, model: string, apiKey: string | undefined): Promise<TokenScale> {
    const known = this.#known.get(model)
    if (known !== undefined) return known
    const key = JSON.stringify([model, apiKey])
    return await this.#asking.run(key, () => this.#ask(engine, model, { apiKey }))
  }

  async #ask(engine: CountingEngine, model: string, options: CallOptions): Promise<TokenScale> {
    const ascii = await ratioOf(engine, model, ASCII_TEXTS, options)
    const beyond = await ratioOf(engine, model, OTHER_TEXTS, options)
    if (ascii === undefined || beyond === undefined) {
      this.#known.set(model, UNSCALED, { ttl: UNKNOWN_MS })
      return UNSCALED
    }
    const scale = { ascii: ontoGrid(ascii), beyond: ontoGrid(beyond) }
    this.#known.set(model, scale)
    return scale
  }
}

/** The highest ratio of counted to typical tokens among the texts; undefined if the engine cannot count. */
async function ratioOf(
  engine: CountingEngine,
  model: string,
  texts: readonly string[],
  options: CallOptions,
): Promise<number | undefined> {
  const ratios: number[] = []
  for (const text of texts) {
    const tokens = await engine.countText(model, text, options, 'text only').catch(unlessFinal)
    if (tokens === undefined) return undefined
    ratios.push(tokens / typicalTokens(text))
  }
  return Math.max(...ratios)
}

function unlessFinal(thrown: unknown): undefined {
  if (!isFinalRefusal(thrown)) throw thrown
}

function ontoGrid(ratio: number): number {
  return GRID.find((step) => ratio <= step) ?? LARGEST
}
