// The index of passages, in the memory that the settings give it.

import type { EventLog } from '../journal/events.ts'
import { PassageIndex } from '../passages/passage-index.ts'
import type { Store } from '../store/store.ts'
import type { Start } from './start.ts'

export function createPassages(start: Start, store: Store, events: EventLog): PassageIndex {
  const { memory, metrics, log, now, closers } = start
  const passages = new PassageIndex({ store, events, maxBytes: memory.passage_index_bytes, metrics, log, now })
  closers.add(() => passages.close())
  return passages
}
