// Ids and the fingerprint, in vLLM's format.

import { randomBytes } from 'node:crypto'

/** `system_fingerprint` of every answer: the server version and a hash of its configuration. */
export const FINGERPRINT = 'vllm-0.32.0-51111a70'
export const VERSION = '0.32.0'

/** An id such as `chatcmpl-9a8d6aa0ed6abccc`. */
export const newId = (prefix: string): string => `${prefix}-${randomBytes(8).toString('hex')}`

/** An id such as `resp_ae34239ebfc02b84`. */
export const newUnderscoreId = (prefix: string): string => `${prefix}_${randomBytes(8).toString('hex')}`
