// Waits for a delete that cwm continues in the background.

import { setTimeout as after } from 'node:timers/promises'
import type { DeletionJson } from '../../wire/deletions.ts'
import type { CommandContext } from './command.ts'
import { deletionPath } from './paths.ts'

const POLL_MS = 1_000

/** Polls until it is done, or only sessions keep something. There is no timeout: cwm retries for a week, and the user can interrupt. */
export async function waitForDeletion(
  { rest, progress, signal }: CommandContext,
  first: DeletionJson,
): Promise<DeletionJson> {
  return await progress(`waiting until ${first.name} is completely deleted`, async () => {
    let answer = first
    while (answer.state === 'open' && !answer.held_by) {
      await after(POLL_MS, undefined, { signal })
      answer = await rest.json<DeletionJson>(deletionPath(first.id), { signal })
    }
    return answer
  })
}
