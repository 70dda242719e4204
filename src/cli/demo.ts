// `cwm demo`: shows the main features on a simulated engine. Two sessions, freeze, restart of everything, thaw, receipt.
// Every figure that it prints is measured in that run.

import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../base/logger.ts'
import { type App, startApp } from '../compose/app.ts'
import { settingsSchema } from '../config/schema.ts'
import { type Sim, startSim } from '../sim/index.ts'
import type { SessionJson } from '../wire/sessions.ts'
import type { WindowJson } from '../wire/windows.ts'
import { chat, demoKey, type MeasuredTurn, type Message } from './demo-client.ts'
import { question, stationLog } from './demo-story.ts'
import { aborted, stopSignal } from './signals.ts'

const WINDOW = 'night-watch'
const DAYS = 80
/** Speeds of a small GPU, so that a prefill of a few thousand tokens takes noticeable time. */
const SPEEDS = { prefillTokensPerSecond: 4_000, loadTokensPerSecond: 100_000, decodeTokensPerSecond: 400 }

export async function runDemo(keep: boolean): Promise<void> {
  print(
    'This demo uses a SIMULATED engine (vLLM + LMCache): no model, no GPU. Proxy, store, and protocol are real, and every figure is measured now.',
  )
  const dataDir = await mkdtemp(join(tmpdir(), 'cwm-demo-'))
  // On exit, because the process may end at any point if standard output is closed.
  process.once('exit', () => rmSync(dataDir, { recursive: true, force: true }))
  const sim = await startSim({ ...SPEEDS, maxModelLen: 16_384 })
  let app: App | undefined
  try {
    const start = () => startApp(settingsOf(sim, dataDir), silentLogger)
    app = await start()
    const history = await runBeforeRestart(app.url, sim)
    print('\n4  Restart: the proxy stops, and the engine and the LMCache server lose all their memory')
    await app.close()
    app = undefined
    await sim.restartEngine()
    await sim.restartLmcache()
    app = await start()
    await runAfterRestart(app.url, sim, history)
    if (keep) await keepRunning(app, sim)
    else printNextSteps()
  } finally {
    await app?.close()
    await sim.close()
  }
}

function settingsOf(sim: Sim, dataDir: string) {
  return settingsSchema.parse({
    upstream: sim.engineUrl,
    coordinator: sim.coordinatorUrl,
    data_dir: dataDir,
    port: 0,
    log_level: 'silent',
    drain_ms: 1_000,
  })
}

/** Returns the conversation that was frozen. */
async function runBeforeRestart(url: string, { model }: Sim): Promise<readonly Message[]> {
  const opening: Message[] = [
    { role: 'system', content: 'You keep the log of a mountain station.' },
    { role: 'user', content: `Here is the log.\n${stationLog(DAYS)}` },
  ]
  print('\n1  Two sessions send the same prompt')
  const cold = await chat(url, model, opening, { 'x-cwm-session': 'alice' })
  printTurn('alice, first turn', cold)
  printTurn(
    'bob, the same prompt',
    await chat(url, model, opening, { 'x-cwm-session': 'bob' }),
    'shares nothing with alice',
  )

  print('\n2  Alice continues: her own cache is warm')
  const second: Message[] = [
    ...opening,
    { role: 'assistant', content: cold.text },
    { role: 'user', content: 'Keep it for tonight.' },
  ]
  const warm = await chat(url, model, second, { 'x-cwm-session': 'alice', 'x-cwm-freeze': WINDOW })
  printTurn('alice, second turn', warm)

  print(`\n3  That turn had the header  x-cwm-freeze: ${WINDOW}`)
  const { state, reason, receipt } = await getJson<WindowJson>(`${url}/cwm/v1/windows/${WINDOW}?wait_ms=10000`)
  if (state !== 'frozen' || receipt === undefined) throw new Error(`the window is ${state}: ${reason}`)
  printRow(
    'frozen',
    `${receipt.tokens} tokens in ${receipt.chunks} chunks, durability ${receipt.durability}, pinned: ${receipt.pinned}`,
  )
  return [...second, { role: 'assistant', content: warm.text }]
}

async function runAfterRestart(url: string, { model }: Sim, history: readonly Message[]): Promise<void> {
  print('\n5  The same question twice: with the whole history in a new session, and by thawing the window')
  const asked: Message = { role: 'user', content: question }
  const cold = await chat(url, model, [...history, asked], { 'x-cwm-session': 'carol' })
  printTurn('carol, whole history', cold)
  const thawed = await chat(url, model, [asked], { 'x-cwm-session': 'alice-tonight', 'x-cwm-window': WINDOW })
  printTurn('alice, question only', thawed, `x-cwm-restored: ${thawed.headers.get('x-cwm-restored') ?? 'none'}`)
  printRow('question', question)
  printRow('answer', thawed.text)

  const { thaw: receipt } = await getJson<SessionJson>(`${url}/cwm/v1/sessions/alice-tonight`)
  if (receipt === undefined) throw new Error('the session has no thaw receipt')
  const { tiers_before: before } = receipt
  print('\nReceipt of the thaw')
  printTable([
    ['window', receipt.window],
    ['tokens in the window', String(receipt.tokens)],
    ['restored, in whole chunks of 256 tokens', String(receipt.restored_tokens)],
    ['recomputed, the rest of the window', String(receipt.recomputed_tokens)],
    ['chunks before the thaw, in memory / behind it', `${before.l1} / ${before.l2} of ${before.total}`],
    ['time to first token, cold', milliseconds(cold.ttftMs)],
    ['time to first token, thawed (thaw included)', milliseconds(thawed.ttftMs)],
    ['cached in the prompt of the next turn', `${thawed.cachedTokens} of ${thawed.promptTokens}`],
    ['ratio', `${(cold.ttftMs / thawed.ttftMs).toFixed(1)} times faster`],
  ])
  print(
    '   Restored plus recomputed tokens are the window. The next turn finds them cached in whole blocks of 16 tokens, and computes the rest: a partial block and the question.',
  )
}

function printTurn(who: string, turn: MeasuredTurn, note = ''): void {
  printRow(
    who,
    `prompt ${turn.promptTokens} tokens, ${turn.cachedTokens} cached, first token after ${milliseconds(turn.ttftMs)}${note === '' ? '' : `   (${note})`}`,
  )
}

function milliseconds(ms: number): string {
  return `${Math.round(ms)} ms`
}

function printRow(name: string, text: string): void {
  print(`   ${name.padEnd(22)} ${text}`)
}

function printTable(rows: readonly (readonly [string, string])[]): void {
  const width = Math.max(...rows.map(([name]) => name.length))
  for (const [name, value] of rows) print(`   ${name.padEnd(width)} | ${value}`)
}

function print(line: string): void {
  console.log(line)
}

async function getJson<T>(url: string): Promise<T> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${demoKey}` } })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

function printNextSteps(): void {
  print(`
The same with a real engine:
   npm run engine:setup && npm run engine:up      vLLM + LMCache + Redis on this machine, no GPU needed (about five minutes)
   node dist/cli/main.js serve --upstream http://127.0.0.1:8000 --coordinator http://127.0.0.1:9300
Then point an OpenAI SDK's base URL at http://127.0.0.1:8787/v1. Or keep this demo running for it: npm run demo -- --keep`)
}

async function keepRunning(app: App, sim: Sim): Promise<void> {
  print(`
Still running, until Ctrl-C:
   proxy   ${app.url}/v1   model ${sim.model}   API key ${demoKey}
   try     curl ${app.url}/v1/chat/completions -H 'authorization: Bearer ${demoKey}' -H 'content-type: application/json' \\
             -H 'x-cwm-session: me' -H 'x-cwm-window: ${WINDOW}' \\
             -d '{"model":"${sim.model}","messages":[{"role":"user","content":"What about the hare?"}]}'
   pages   ${app.url}/cwm/   (there: "Use an API key")
   windows curl -H 'authorization: Bearer ${demoKey}' ${app.url}/cwm/v1/windows`)
  await aborted(stopSignal())
}
