// The servers that the contract is tested on: the simulator, or the real ones with CWM_CONTRACT=engine. Their names, sizes and limit are
// read from them, never assumed.

import { randomBytes } from 'node:crypto'
import { type SimOptions, startSim } from '../../../src/sim/index.ts'

export interface Reply {
  readonly status: number
  readonly type: string | null
  readonly text: string
  /** The parsed body; null if it is not JSON. */
  readonly json: unknown
}

export type ServerName = 'engine' | 'lmcache' | 'coordinator'

export interface Target {
  /** The model's served name, engine name (`root`) and limit. */
  readonly model: string
  readonly root: string
  readonly limit: number
  readonly worldSize: number
  readonly blockSize: number
  readonly chunkSize: number
  readonly instance: string
  readonly adapters: readonly string[]
  readonly urls: Readonly<Record<ServerName, string>>
  call(server: ServerName, method: string, path: string, body?: unknown, contentType?: string): Promise<Reply>
  close(): Promise<void>
}

const ENGINE_URLS: Record<ServerName, string> = {
  engine: process.env.CWM_ENGINE_URL ?? 'http://127.0.0.1:8000',
  lmcache: process.env.CWM_LMCACHE_URL ?? 'http://127.0.0.1:8080',
  coordinator: process.env.CWM_COORDINATOR_URL ?? 'http://127.0.0.1:9300',
}

/** Opens the target and reads what the tests need. `options` only apply to the simulator. */
export async function openTarget(options: SimOptions = {}): Promise<Target> {
  if (process.env.CWM_CONTRACT === 'engine') {
    return describe(ENGINE_URLS, async () => {}).catch((error: unknown) => {
      const absent = `no engine at ${ENGINE_URLS.engine}; start it: npm run engine:setup && npm run engine:up`
      throw new Error(absent, { cause: error })
    })
  }
  const sim = await startSim({ maxModelLen: 4096, ...options })
  const urls = { engine: sim.engineUrl, lmcache: sim.lmcacheUrl, coordinator: sim.coordinatorUrl }
  return describe(urls, () => sim.close())
}

async function describe(urls: Record<ServerName, string>, close: () => Promise<void>): Promise<Target> {
  const call: Target['call'] = async (server, method, path, body, contentType = 'application/json') => {
    const init = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
    const headers = body === undefined ? {} : { 'content-type': contentType }
    const answer = await fetch(urls[server] + path, { method, headers, ...init })
    const text = await answer.text()
    const type = answer.headers.get('content-type')
    const json = type?.startsWith('application/json') ? JSON.parse(text) : null
    return { status: answer.status, type, text, json }
  }
  const models = (await call('engine', 'GET', '/v1/models')).json
  const status = (await call('lmcache', 'GET', '/status')).json
  const fleet = (await call('coordinator', 'GET', '/instances')).json
  const adapters = (await call('lmcache', 'GET', '/config/adapters')).json
  const engines = { ...object(field(status, 'cache_context_meta')), ...object(field(status, 'non_cuda_context_meta')) }
  const engine = Object.values(engines)[0]
  return {
    model: String(field(models, 'data.0.id')),
    root: String(field(models, 'data.0.root')),
    limit: Number(field(models, 'data.0.max_model_len')),
    worldSize: Number(field(engine, 'world_size')),
    blockSize: Number(field(engine, 'block_size')),
    chunkSize: Number(field(status, 'chunk_size')),
    instance: String(field(fleet, 'instances.0.instance_id')),
    adapters: list(field(adapters, 'adapters')).map((adapter) => String(field(adapter, 'type_name'))),
    urls,
    call,
    close,
  }
}

/** The value at a dotted path in an answer, if it exists. */
export function field(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((at, key) => object(at)[key], value)
}

/** The array, or an empty one for any other value. */
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

const object = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

/** A new salt, whose cache is cold. */
export const newSalt = (): string => `contract-${randomBytes(12).toString('base64url')}`

/** Repeats the request until `done` accepts the answer. Throws at the deadline, with the label and the last answer. */
export async function eventually<Value>(
  label: string,
  deadlineMs: number,
  ask: () => Promise<Value>,
  done: (value: Value) => boolean,
): Promise<Value> {
  const end = Date.now() + deadlineMs
  for (;;) {
    const value = await ask()
    if (done(value)) return value
    if (Date.now() > end)
      throw new Error(`${label}: not within ${deadlineMs} ms; last answer: ${JSON.stringify(value).slice(0, 500)}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** The payloads of an event stream in order, `[DONE]` as a string. */
export function payloads(stream: string): unknown[] {
  return stream
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => (line === 'data: [DONE]' ? '[DONE]' : JSON.parse(line.slice(6))) as unknown)
}

/** The common prefix of two sequences of token ids. */
export function commonPrefix(a: readonly number[], b: readonly number[]): number[] {
  const at = a.findIndex((id, i) => id !== b[i])
  return a.slice(0, at < 0 ? a.length : at)
}

/** A text of about this many tokens, different for each call. */
export function longText(tokens: number): string {
  const mark = randomBytes(4).toString('hex')
  const words = ['the', 'master', 'of', 'harbour', 'wrote', 'name', 'and', 'file', 'of', 'every', 'class', 'return']
  return `${mark} ${Array.from({ length: Math.floor(tokens / 1.6) }, (_, i) => words[i % words.length]).join(' ')}`
}
