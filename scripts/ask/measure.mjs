// Freezes windows once, then asks them at each load speed after a restart of the engine, whose own cache is empty then.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const GIB = 1024 ** 3
const CHUNK_TOKENS = 256
const CHUNK_BYTES = 2 * 1024 * 1024
const QUESTION = 'What is the harbor called?'
const MODEL = 'sim-model'

/** One row for each number of windows and load speed. `dist`: the built cwm. */
export async function measure(dist, options, log) {
  const { startSim } = await import(join(dist, 'sim/index.js'))
  const rows = []
  for (const load of options.loads) {
    const sim = await startSim(simOptions(options, load))
    const cwm = await startCwm(dist, sim)
    try {
      log(`freezing ${Math.max(...options.windows)} windows of about ${options.tokens} tokens`)
      for (let n = 0; n < Math.max(...options.windows); n++) await freeze(cwm.url, n, options.tokens)
      for (const windows of options.windows) {
        await sim.restartEngine()
        log(`asking ${windows} windows, loading at ${load} tokens/s`)
        rows.push({ load, prefill: options.prefill, ...(await askOf(cwm.url, windows, options.parallel)) })
      }
    } finally {
      await cwm.close()
      await sim.close()
    }
  }
  return rows
}

function simOptions({ windows, tokens }, load) {
  const chunks = Math.max(...windows) * (Math.ceil(tokens / CHUNK_TOKENS) + 2)
  return {
    model: MODEL,
    maxModelLen: 2 * tokens + 8_192,
    loadTokensPerSecond: load,
    // Everything stays in L2, and little of it in memory.
    l1Bytes: GIB,
    l2Bytes: 2 * chunks * CHUNK_BYTES,
    cacheBlocks: Math.ceil((8 * tokens) / 16),
    eventFlushMs: 0,
    requestLog: 1,
  }
}

async function startCwm(dist, sim) {
  const { startApp } = await import(join(dist, 'compose/app.js'))
  const { settingsSchema } = await import(join(dist, 'config/schema.js'))
  const { silentLogger } = await import(join(dist, 'base/logger.js'))
  const folder = await mkdtemp(join(tmpdir(), 'cwm-ask-'))
  const settings = settingsSchema.parse({
    upstream: sim.engineUrl,
    coordinator: sim.coordinatorUrl,
    port: 0,
    data_dir: folder,
    log_level: 'silent',
    max_in_flight_per_tenant: 64,
  })
  const app = await startApp(settings, silentLogger, { load: async () => settings })
  const close = async () => {
    await app.close()
    await rm(folder, { recursive: true, force: true })
  }
  return { url: app.url, close }
}

async function call(url, method, path, body) {
  const response = await fetch(`${url}/cwm/v1${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return text
}

const freeze = (url, n, tokens) =>
  call(url, 'PUT', `/windows/w${n}`, { model: MODEL, document: documentOf(n, tokens), tags: ['all'] })

/** About as many tokens as wanted: each of its words is one token and a space or number one more. */
function documentOf(n, tokens) {
  const stock = ['harbor', 'river', 'mill', 'timber', 'seven', 'carries', 'past', 'stone']
  const words = Array.from({ length: Math.ceil(tokens / 2) }, (_, i) => `${stock[(i * 5 + n) % stock.length]}${i % 10}`)
  return `${words.join(' ')}. The harbor of window ${n} is called Port-${n}.`
}

async function askOf(url, windows, parallel) {
  const names = Array.from({ length: windows }, (_, n) => `w${n}`)
  // A stream, because fetch waits five minutes at most for the first byte of an answer.
  const text = await call(url, 'POST', '/ask', { question: QUESTION, windows: { names }, parallel })
  const event = /event: receipt\ndata: (.*)\n/.exec(text)
  if (event === null) throw new Error(`the question has no receipt: ${text.slice(-500)}`)
  const receipt = JSON.parse(event[1])
  const { failed, restored_tokens: restored, computed_tokens: computed, prompt_tokens: prompt, ms } = receipt
  return { windows, parallel: receipt.parallel, failed, restored, computed, prompt, ms }
}
