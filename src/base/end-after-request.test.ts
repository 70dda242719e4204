// How the rest of a rejected request is read and discarded.

import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { expect, it, vi } from 'vitest'
import { endAfterRequest } from './end-after-request.ts'

class Upload extends EventEmitter {
  readonly calls: string[] = []

  pause(): void {
    this.calls.push('pause')
  }

  resume(): void {
    this.calls.push('resume')
  }
}

it('leaves the event loop to others after each 256 KiB, and ends the answer with the request', async () => {
  const req = new Upload()
  const end = vi.fn()

  endAfterRequest({ req, end } as unknown as ServerResponse)
  for (let n = 0; n < 4; n++) req.emit('data', Buffer.alloc(64 * 1024))
  await nextIteration()

  expect(req.calls).toEqual(['resume', 'pause', 'resume'])
  expect(end).not.toHaveBeenCalled()
  req.emit('end')
  expect(end).toHaveBeenCalledOnce()
})
