// Deletes chunks from a whole fleet and proves it: names the keys, deletes them everywhere, asks directory and servers what is left, and
// repeats while there is time. The engine's own cache is out of reach.

import { DeletionRun } from './deletion-passes.ts'
import { type DeleteRequest, planDeletion } from './deletion-plan.ts'
import type { Fleet } from './fleet.ts'
import { chunkId } from './keys.ts'
import { countChunks } from './sequence.ts'

export interface DeleteOptions {
  /** For everything except naming the keys, milliseconds. A pass that has started is finished. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

export interface DeleteResult {
  /** Distinct chunks that had a placement, or that a probe found, and that are gone. */
  readonly deletedChunks: number
  /** Chunks known to exist, at least. Null: none is known, but not every server could be asked. */
  readonly residualChunks: number | null
  /** Chunks of the sequences that stay for others. */
  readonly keptChunks: number
  /** What fell short, for an operator; without salts. */
  readonly warnings: readonly string[]
}

const passes = 3

/** See `LmcacheClient.deleteChunks`. */
export async function deleteChunks(
  fleet: Fleet,
  request: DeleteRequest,
  { deadlineMs, signal }: DeleteOptions,
): Promise<DeleteResult> {
  const { coordinator } = fleet
  if (coordinator === undefined) return withoutCoordinator(request)
  const doomed = await planDeletion(coordinator, request, signal)
  const scanned = doomed.complete
    ? []
    : ['the directory could not be read completely: chunks of edited turns may be left']
  if (doomed.keys.length === 0) {
    return { ...nothing, keptChunks: doomed.keptChunks, residualChunks: doomed.complete ? 0 : null, warnings: scanned }
  }
  const endsAt = performance.now() + deadlineMs
  const left = () => Math.max(0, endsAt - performance.now())
  const work = new DeletionRun({ ...fleet, coordinator }, doomed, left, signal)
  const hidden = await work.findHidden()
  const warnings = new Set(scanned)
  for (let pass = 1; ; pass++) {
    const { residual, unsure, words, again } = await work.pass()
    if (again && pass < passes && left() > 0) continue
    for (const word of words) warnings.add(word)
    const before = new Set(doomed.keys.filter(({ placements }) => placements.length > 0).map(({ key }) => chunkId(key)))
    return {
      deletedChunks: Math.max(0, before.size + hidden - residual),
      residualChunks: residual === 0 && (unsure || !doomed.complete) ? null : residual,
      keptChunks: doomed.keptChunks,
      warnings: [...warnings],
    }
  }
}

const nothing = { deletedChunks: 0, residualChunks: 0, keptChunks: 0 } as const

function withoutCoordinator({ sequences, salts }: DeleteRequest): DeleteResult {
  const asked = sequences.some(({ sequence, from }) => countChunks(sequence) > from) || (salts?.size ?? 0) > 0
  if (!asked) return { ...nothing, warnings: [] }
  return {
    ...nothing,
    residualChunks: null,
    warnings: ['LMCache has no coordinator, so its chunks cannot be named: nothing was deleted from it'],
  }
}
