// What a chat app shows as reasoning while windows are asked: one line for each window as it is done.

import type { AskEvent } from '../ask/many-question.ts'
import { wireCode } from '../dialects/errors.ts'

/** Longest part of a window's answer in a line, characters. */
const MAX_SHOWN = 200

/** The line for an event; undefined if it shows none. */
export function progressLine(event: AskEvent): string | undefined {
  switch (event.type) {
    case 'started':
      return `Asking ${event.windows === 1 ? '1 window' : `${event.windows} windows, ${event.parallel} at once`}.\n`
    case 'window':
      return `${event.window}: ${event.answer === null ? 'not found' : shorten(event.answer)}\n`
    case 'window_error':
      return `${event.window}: failed (${wireCode(event.error)})\n`
    default:
      return undefined
  }
}

function shorten(answer: string): string {
  const line = answer.trim().replaceAll(/\s+/g, ' ')
  const [...characters] = line.slice(0, 2 * MAX_SHOWN + 2)
  return characters.length > MAX_SHOWN ? `${characters.slice(0, MAX_SHOWN).join('')}…` : line
}
