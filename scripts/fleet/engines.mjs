// The engines of the proof, in a process of their own: simulated vLLMs, each with an LMCache server, one coordinator, one shared L2. Their log says
// which request came to which engine under which salt, and outlives each of them.
//   engines.mjs SIM COUNT
import { pathToFileURL } from 'node:url'

/** How often the simulator's own log, which is limited, is emptied into this one. */
const TAKE_MS = 100
/** Of everything that is sent, so that no salt escapes: chats and cwm's own warm calls. */
const SALTED = /^\/v1\//

const [sim, count] = process.argv.slice(2)
const { startSim } = await import(pathToFileURL(sim).href)
const stack = await startSim({
  engines: Number(count),
  sharedL2: ['resp'],
  l2Adapters: ['resp'],
  requestLog: 1_000_000,
  // Nothing is evicted: what is cold has another cause.
  cacheBlocks: 500_000,
  chunkBytes: 1024,
  // A turn takes long enough to be in flight when something dies.
  prefillTokensPerSecond: 20_000,
  decodeTokensPerSecond: 200,
})

let arrivals = []
function take() {
  for (const { server, method, path, body, at } of stack.requests.all()) {
    if (method !== 'POST' || !server.startsWith('engine') || !SALTED.test(path)) continue
    const { seed, cache_salt: salt } = JSON.parse(body)
    if (salt !== undefined) arrivals.push({ id: seed, engine: server, salt, at })
  }
  stack.requests.clear()
}
setInterval(take, TAKE_MS)

const serverOf = (engine) => stack.engines.find(({ name }) => name === engine).lmcacheName

const answers = {
  kill: ({ engine }) => Promise.all([stack.kill(engine), stack.kill(serverOf(engine))]),
  return: ({ engine }) => Promise.all([stack.setOnline(serverOf(engine), true), stack.setOnline(engine, true)]),
  arrivals: () => {
    take()
    const taken = arrivals
    arrivals = []
    return taken
  },
}

process.on('message', async (message) => {
  const value = await answers[message.want](message)
  process.send({ value: message.want === 'arrivals' ? value : null })
})
process.on('disconnect', () => process.exit())
process.send({
  model: stack.model,
  coordinatorUrl: stack.coordinatorUrl,
  engines: stack.engines.map(({ name, url, instanceId }) => ({ name, url, instanceId })),
})
