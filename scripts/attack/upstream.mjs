// The simulator with the recorder in front, as a process. Started as `node upstream.mjs SIM MODE`; communicates over IPC.

import { Recorder } from './recorder.mjs'

const [, , simModule, mode] = process.argv
const { startSim } = await import(simModule)
const recorder = new Recorder(mode)
const sim = await startSim({ maxModelLen: 32_768, requestLog: 1 })
const add = sim.requests.add.bind(sim.requests)
sim.requests.add = (entry) => {
  if (entry.server === 'engine') recorder.see(entry)
  add(entry)
}

const answers = {
  report: () => recorder.report(),
  count: ({ path }) => ({ count: recorder.countOf(path) }),
  find: ({ id }) => ({ found: recorder.find(id) }),
  salts: ({ owner }) => ({ salts: recorder.saltsOf(owner) }),
  async setOnline({ server, up }) {
    await sim.setOnline(server, up)
    return {}
  },
}

process.on('message', async (message) => process.send(await answers[message.want](message)))
process.on('disconnect', () => process.exit())
process.send({ engineUrl: sim.engineUrl, coordinatorUrl: sim.coordinatorUrl, model: sim.model })
