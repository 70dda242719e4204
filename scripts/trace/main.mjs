// `npm run trace:picture`: draws docs/trace.svg, the trace of a turn that waits, is counted, thaws a window, streams, and is aborted by its
// client. cwm and the simulator run here; the picture shows what a collector received over HTTP.
//   npm run trace:picture -- FILE      another output file
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLogger } from '../../dist/base/logger.js'
import { startApp } from '../../dist/compose/app.js'
import { settingsSchema } from '../../dist/config/schema.js'
import { startSim } from '../../dist/sim/index.js'
import { startOtlpReceiver } from './otlp-receiver.mjs'
import { picture } from './picture.mjs'

const file = process.argv[2] ?? 'docs/trace.svg'
const model = 'sim-model'
const CLIENT = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
/** Events of the stream after which its client leaves. */
const EVENTS = 6

const dataDir = await mkdtemp(join(tmpdir(), 'cwm-trace-'))
const collector = await startOtlpReceiver()
const sim = await startSim({
  eventFlushMs: 0,
  prefillTokensPerSecond: 2_000,
  loadTokensPerSecond: 40_000,
  decodeTokensPerSecond: 60,
})
const app = await startApp(
  settingsSchema.parse({
    ...{ upstream: sim.engineUrl, coordinator: sim.coordinatorUrl, port: 0, data_dir: dataDir, drain_ms: 2_000 },
    ...{ otlp_endpoint: collector.url, max_in_flight_per_tenant: 1, overflow: 'reject' },
  }),
  silentLogger,
)
try {
  await put('contract', Array.from({ length: 3_000 }, (_, i) => `clause${i % 17}`).join(' '))
  // The engine loses what it has cached, so the thaw loads the window from LMCache.
  await sim.restartEngine()
  const first = send({ messages: [user('Is the berth free?')], max_tokens: 8 })
  await once(first, 'socket')
  await abortAfter(EVENTS, send({ messages: [user('Who may cancel?')], max_tokens: 60, stream: true }, traced()))
  while (!(await (await fetch(`${app.url}/cwm/metrics`)).text()).includes('\ncwm_client_gone_total 1\n'))
    await sleep(20)
} finally {
  // Sends the spans that wait.
  await app.close()
  await sim.close()
  await collector.close()
  await rm(dataDir, { recursive: true })
}
await writeFile(file, picture(collector.spans.filter(({ traceId }) => traceId === CLIENT.traceId)))
console.log(`wrote ${file}`)

function user(content) {
  return { role: 'user', content }
}

function traced() {
  return { 'x-cwm-window': 'contract', traceparent: `00-${CLIENT.traceId}-${CLIENT.spanId}-01` }
}

function send(body, headers = {}) {
  const sent = request(`${app.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
  })
  sent.on('error', () => {})
  sent.on('response', (answer) => answer.resume())
  sent.end(JSON.stringify({ model, ...body }))
  return sent
}

async function put(name, text) {
  const answer = await fetch(`${app.url}/cwm/v1/windows/${name}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [user(text)] }),
  })
  if (answer.status !== 201) throw new Error(`the window was not created: ${await answer.text()}`)
}

/** Leaves the stream after some events, as a user does who presses Stop. */
async function abortAfter(events, sent) {
  const [answer] = await once(sent, 'response')
  if (answer.statusCode !== 200) throw new Error(`the turn was answered with ${answer.statusCode}`)
  let seen = 0
  answer.on('error', () => {})
  await new Promise((resolve, reject) => {
    answer.on('end', () => reject(new Error(`the stream ended after ${seen} events`)))
    answer.on('data', (bytes) => {
      seen += bytes.toString().split('\n\n').length - 1
      if (seen >= events) resolve()
    })
  })
  answer.destroy()
}
