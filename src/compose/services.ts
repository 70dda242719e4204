// Third step of the start: everything that knows neither HTTP nor the command line, from the journal up to the runner of turns.

import { ManyAsker } from '../ask/ask-many.ts'
import { WindowAsker } from '../ask/ask-window.ts'
import { answerSideChat, type SideAnswer, type SideChat, type SideOptions } from '../ask/side-chat.ts'
import type { Libraries } from '../libraries/libraries.ts'
import { type Core, createCore } from './core.ts'
import { EngineWatch } from './engine-watch.ts'
import type { Engines } from './engines.ts'
import { createLibraries } from './libraries.ts'
import type { Start } from './start.ts'
import type { Storage } from './storage.ts'
import { createTurns, type Turns } from './turns.ts'

export interface Services extends Core, Turns {
  readonly engineWatch: EngineWatch
  readonly asker: WindowAsker
  readonly manyAsker: ManyAsker
  readonly sideChat: (chat: SideChat, options: SideOptions) => Promise<SideAnswer>
  readonly libraries: Libraries
}

export function createServices(start: Start, storage: Storage, engines: Engines): Services {
  const core = createCore(start, storage, engines)
  const { metrics, log } = start
  const asker = new WindowAsker({ ...core.windowParts, windows: core.windows, rates: core.rates })
  const turns = createTurns(start, core)
  const { admission } = turns
  const { windowParts, windows, passages, rates } = core
  const keepsKv = core.lmcache.configured
  const manyAsker = new ManyAsker({ ...windowParts, windows, asker, admission, rates, keepsKv, passages })
  const sideChat = (chat: SideChat, options: SideOptions) =>
    answerSideChat({ ...windowParts, admission, rates, keepsKv }, chat, options)
  const engineWatch = new EngineWatch({ ...core, metrics, log })
  const libraries = createLibraries(start, core)
  return { ...core, ...turns, engineWatch, asker, manyAsker, sideChat, libraries }
}
