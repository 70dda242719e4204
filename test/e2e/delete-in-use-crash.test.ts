// A kill -9 between the delete of a window, the end of its last session, and what follows: nothing is lost, and nothing stays.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, expect, it } from 'vitest'
import { type Sim, startSim } from '../../src/sim/index.ts'
import type { DeletionJson } from '../../src/wire/deletions.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { chat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { deleteWindow, endSession, frozenSession, placements, rest } from '../support/rest.ts'
import { type ServeProcess, startServe } from '../support/serve-process.ts'
import { pinsHeld } from '../support/windows.ts'

let built: BuiltCwm
let sim: Sim
let cwm: ServeProcess

beforeAll(async () => {
  built = await buildCwm()
}, 120_000)

afterEach(async () => {
  await cwm?.dispose()
  await sim?.close()
})

async function start(dataDir?: string): Promise<string> {
  cwm = await startServe(built, {
    upstream: sim.engineUrl,
    flags: { coordinator: sim.coordinatorUrl, 'deletion-retry-ms': 500 },
    ...(dataDir === undefined ? {} : { dataDir }),
  })
  return await cwm.ready()
}

async function killAndStart(): Promise<string> {
  cwm.kill('SIGKILL')
  await cwm.ended()
  return await start(cwm.dataDir)
}

const setOnline = async (online: boolean) => {
  for (const server of ['coordinator', 'lmcache'] as const) await sim.setOnline(server, online)
}

it('keeps the chat, and drops text and KV with its end', async () => {
  sim = await startSim({ eventFlushMs: 0 })
  let url = await start()
  const bob = { headers: { 'x-cwm-session': 'bob' } }
  const question = [user('What is the buoy called?')]
  await frozenSession(url)
  await rest(url, 'POST', '/windows/w/thaw', { session_id: 'bob' })
  await endSession(url, 'ann')
  // Neither pin nor chunks can go before the kill.
  await setOnline(false)
  const deletion = await deleteWindow(url, 'w')

  url = await killAndStart()
  await setOnline(true)

  const shown = () => rest<DeletionJson>(url, 'GET', `/deletions/${deletion.id}`)
  expect(deletion).toMatchObject({ state: 'open', unpinned: false, held_by: { count: 1, sessions: ['bob'] } })
  expect((await chat(url, question, bob)).reply.content).toContain('Lomvi')
  await until('the pin is released', async () => (await pinsHeld(sim)) === 0)
  expect((await shown()).state).toBe('open')

  await setOnline(false)
  await endSession(url, 'bob')
  url = await killAndStart()
  await setOnline(true)

  await until('the delete is done', async () => (await shown()).state === 'done')
  await until('no chunk is left', async () => (await placements(sim)) === 0)
  cwm.kill('SIGTERM')
  await cwm.ended()
  const files = await readdir(cwm.dataDir, { recursive: true, withFileTypes: true })
  const texts = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'latin1')),
  )
  expect(texts.join('\n')).not.toContain('Lomvi')
}, 60_000)
