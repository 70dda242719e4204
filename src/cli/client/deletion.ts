// Waits for a delete that cwm goes on with by itself.

import { setTimeout as after } from 'node:timers/promises'
import type { DeletionJson } from '../../wire/deletions.ts'
import type { CommandContext } from './command.ts'
import { deletionPath } from './paths.ts'

const POLL_MS = 1_000

/** Asks until it is done. Without a limit: it is tried again for a week, and who waits can stop waiting. */
export async function waitForDeletion(
  { rest, progress, signal }: CommandContext,
  first: DeletionJson,
): Promise<DeletionJson> {
  return await progress(`waiting until all of ${first.name} is gone`, async () => {
    let answer = first
    while (answer.state === 'open') {
      await after(POLL_MS, undefined, { signal })
      answer = await rest.json<DeletionJson>(deletionPath(first.id), { signal })
    }
    return answer
  })
}
