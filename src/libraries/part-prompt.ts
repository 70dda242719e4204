// A part of a library as a window: its messages and its name.

import { createHmac } from 'node:crypto'
import { isObject } from '../base/json.ts'
import { LIBRARY_TAG_PREFIX } from '../base/library-records.ts'
import type { Prompt } from '../base/records.ts'

/** A question is the next message of the user, and some chat templates reject two of these in a row: docs/engine-behavior.md#alternating-roles. */
const REPLY = 'I have read this text.'
const DIGEST_LENGTH = 22

/** Every window of a library has it, once all of them are frozen. */
export function libraryTag(library: string): string {
  return LIBRARY_TAG_PREFIX + library
}

/** `title`: empty if the text has none. */
export function partPrompt(model: string, title: string, text: string): Prompt {
  const messages = [
    { role: 'user', content: `${headOf(title)}${text}` },
    { role: 'assistant', content: REPLY },
  ]
  return { dialect: 'chat', model, messages, shaping: {} }
}

/** The text of a part with this title; undefined if the prompt is not such a part. */
export function textOfPart({ messages: [first] }: Prompt, title: string): string | undefined {
  const content = isObject(first) ? first.content : undefined
  const head = headOf(title)
  return typeof content === 'string' && content.startsWith(head) ? content.slice(head.length) : undefined
}

/**
 * The same content has the same name. The digest is keyed because names are logged: a name must not reveal whether a library contains a
 * known text.
 */
export function partName(library: string, { model, messages }: Prompt, key: Uint8Array): string {
  const digest = createHmac('sha256', key)
    .update(JSON.stringify([library, model, messages]))
    .digest('base64url')
  return `lib.${library}.${digest.slice(0, DIGEST_LENGTH)}`
}

function headOf(title: string): string {
  return title === '' ? '' : `From "${title}":\n\n`
}
