// Finds where bytes stop being UTF-8.

import { isUtf8 } from 'node:buffer'

/** Length of the longest character. */
const MAX_BYTES = 4

/** The offset of the first byte that does not belong to a valid UTF-8 character; undefined if there is none. */
export function invalidUtf8At(bytes: Uint8Array): number | undefined {
  if (isUtf8(bytes)) return undefined
  // Halving finds the longest prefix that is valid but for a cut character. The end without that is then at most some bytes before.
  let valid = 0
  let invalid = bytes.length
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1
    if (isValidPrefix(bytes, middle)) valid = middle
    else invalid = middle
  }
  for (let end = valid; end >= Math.max(0, valid - MAX_BYTES); end--) if (isUtf8(bytes.subarray(0, end))) return end
  return valid
}

/** Whether the first bytes are valid, but for a last character that may be cut. */
function isValidPrefix(bytes: Uint8Array, length: number): boolean {
  for (let cut = 0; cut < MAX_BYTES; cut++) if (isUtf8(bytes.subarray(0, Math.max(0, length - cut)))) return true
  return false
}
