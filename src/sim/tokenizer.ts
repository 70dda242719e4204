// Encodes and decodes tokens: cl100k for text, and markers with separate ids that user text cannot produce.

import { decode, encode } from 'gpt-tokenizer/encoding/cl100k_base'

const TEXT_IDS = 100_256
export const IM_START = 100_300
export const IM_END = 100_301
export const IMAGE = 100_302
const MARKERS = new Map([
  [IM_START, '<|im_start|>'],
  [IM_END, '<|im_end|>'],
  [IMAGE, '<|image|>'],
])

/** The two bytes of é, one token each. */
const WHOLE = [127, 102]

/** One part of a prompt: text to encode, or a marker's id. */
export type Part = string | number

/** The ids of a text. Markers spelled out in it are ordinary text. */
export function encodeText(text: string): number[] {
  return text === '' ? [] : encode(text, { disallowedSpecial: new Set() })
}

/** The ids of parts. Adjacent texts are joined first, so that their boundary does not affect the ids. */
export function encodeParts(parts: readonly Part[]): number[] {
  const ids: number[] = []
  let text = ''
  for (const part of [...parts, -1]) {
    if (typeof part === 'string') {
      text += part
      continue
    }
    for (const id of encodeText(text)) ids.push(id)
    text = ''
    if (part >= 0) ids.push(part)
  }
  return ids
}

/** The text of ids, with markers spelled out. */
export function decodeIds(ids: readonly number[]): string {
  let text = ''
  let run: number[] = []
  for (const id of ids) {
    const marker = MARKERS.get(id)
    if (marker === undefined) {
      run.push(id)
    } else {
      text += decodeRun(run) + marker
      run = []
    }
  }
  return text + decodeRun(run)
}

/** The library carries the bytes of an incomplete character into the next call. A character appended to the run prevents that. */
function decodeRun(run: readonly number[]): string {
  return run.length === 0 ? '' : decode([...run, ...WHOLE]).slice(0, -1)
}

/** The first id outside the vocabulary, if any. */
export function unknownId(ids: readonly number[]): number | undefined {
  return ids.find((id) => !(id >= 0 && id < TEXT_IDS) && !MARKERS.has(id))
}

/**
 * Splits the text of `ids` as a stream does: one piece per id, empty while a character is incomplete. Concatenated, the pieces are the
 * whole text.
 */
export function textPieces(ids: readonly number[]): string[] {
  const pieces: string[] = []
  let held: number[] = []
  for (const [at, id] of ids.entries()) {
    held.push(id)
    const text = decodeIds(held)
    if (text.endsWith('�') && at + 1 < ids.length) {
      pieces.push('')
    } else {
      pieces.push(text)
      held = []
    }
  }
  return pieces
}
