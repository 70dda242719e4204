// Random ids, and the rules for names given by clients.

import { randomFillSync } from 'node:crypto'

const ID_BYTES = 16
/** Random bytes are drawn in bulk, because a system call per id would cost more than the rest of creating it. */
const drawn = Buffer.alloc(256 * ID_BYTES)
let next = drawn.length

/** 128 random bits as 22 base64url characters. */
export function randomId(): string {
  if (next === drawn.length) {
    randomFillSync(drawn)
    next = 0
  }
  const id = drawn.toString('base64url', next, next + ID_BYTES)
  next += ID_BYTES
  return id
}

const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/
const WINDOW_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

export const sessionIdRule = '1 to 128 letters, digits, or ._:-, and begin with a letter or digit'
export const windowNameRule = '1 to 128 letters, digits, or ._-, and begin with a letter or digit'

/** Short enough for `library:NAME` to be a tag, and for windows to be named after it. */
const LIBRARY_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$/
export const libraryNameRule = '1 to 48 letters, digits, or ._-, and begin with a letter or digit'

export function isLibraryName(text: string): boolean {
  return LIBRARY_NAME.test(text)
}

export function isSessionId(text: string): boolean {
  return SESSION_ID.test(text)
}

export function isWindowName(text: string): boolean {
  return WINDOW_NAME.test(text)
}

/** Names reserved for cwm; clients cannot freeze under them. */
export function isReservedName(name: string): boolean {
  return name.startsWith('auto.')
}

/** Identifies a session among those of all tenants. Neither part can contain a line break. */
export function sessionKey(tenant: string, id: string): string {
  return `${tenant}\n${id}`
}
