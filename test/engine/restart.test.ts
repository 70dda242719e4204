// Restarts proxy, vLLM, LMCache server, coordinator and Redis: a window's KV is on disk. This takes minutes, so it is a run of its own
// (vitest.restart.config.ts). It leaves the engine up, with the render endpoints.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AskedWindows, describeAskedWindows } from './support/asked-windows.ts'
import { type Answer, ask, longText, measured, openai, system, user } from './support/conversations.ts'
import { type Cwm, type FreezeReceipt, startCwm } from './support/cwm.ts'
import { type Hop, startHop } from './support/hop.ts'
import { describeRenderedWindows } from './support/rendered-windows.ts'
import { bound, engineUrl, onePinEach, pinCounts, rendersPrompts, type Stored } from './support/stack.ts'
import { restartStack, startStack } from './support/stack-control.ts'

const OPENING = [system(longText('You keep the log of the voyage', 2_000)), user('who wrote the name?')]
const NEXT = user('and which file was it?')
const UNNAMED = [user(longText('nobody names this one', 1_200))]

let cwm: Cwm
let hop: Hop
let client: OpenAI
let reference: Answer
let unnamed: Answer
let frozen: FreezeReceipt
let stored: Stored
const asked = new AskedWindows()

beforeAll(async () => {
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url })
  client = openai(cwm.url)
  const plain = await ask(client, OPENING, named('plain'))
  reference = await ask(client, [...OPENING, plain.reply, NEXT], named('plain'))
  unnamed = await ask(client, UNNAMED)
  await ask(client, OPENING, named('frozen', { 'x-cwm-freeze': 'voyage' }))
  frozen = await cwm.frozen('voyage')
  stored = hop.lastWarm()
  await asked.prepare(cwm)

  await cwm.stop()
  await hop.close()
  const start = Date.now()
  await restartStack()
  measured('everything restarted', {
    seconds: Math.round((Date.now() - start) / 1000),
    renders: await rendersPrompts(),
  })
  hop = await startHop(engineUrl)
  cwm = await startCwm({ upstream: hop.url, dataDir: cwm.dataDir })
  client = openai(cwm.url)
})

afterAll(async () => {
  await cwm.dispose()
  await hop.close()
  await startStack()
})

/** A real model would end its answers early. */
const named = (id: string, headers: Record<string, string> = {}) => ({
  headers: { 'x-cwm-session': id, ...headers },
  body: { ignore_eos: true },
})

describe('after everything was restarted', () => {
  it('a window is restored from disk, and its answer continues unchanged', async () => {
    const answer = await ask(client, [NEXT], named('thawed', { 'x-cwm-window': 'voyage' }))

    const { ms, ...thaw } = await cwm.thawOf('thawed')
    measured('thaw after the restart', { frozen: frozen.tokens, bound: bound(frozen.tokens), ...thaw, ms })
    expect(frozen.durability).toBe('l2')
    expect(thaw.restored_tokens).toBeGreaterThanOrEqual(bound(frozen.tokens))
    expect(thaw).toMatchObject({ tokens: frozen.tokens, drift: false })
    expect(answer.promptTokens).toBe(reference.promptTokens)
    expect(answer.ids).toEqual(reference.ids)
    expect(answer.ids).toHaveLength(16)
  })

  it('its pins still exist, once', async () => {
    expect(await pinCounts(stored.salt)).toEqual(onePinEach(frozen.tokens))
  })

  it('an unnamed conversation without a freeze continues in its session, with the chunks in LMCache', async () => {
    const answer = await ask(client, [...UNNAMED, unnamed.reply, user('and then?')])

    expect(answer.cwm.session).toBe(unnamed.cwm.session)
    expect(answer.cachedTokens).toBeGreaterThanOrEqual(1_024)
  })
})

describe('windows that are asked after everything was restarted', () => {
  describeAskedWindows(
    asked,
    () => cwm,
    () => hop,
  )
})

describe('with the render endpoints of the restarted engine', () => describeRenderedWindows(() => cwm))
