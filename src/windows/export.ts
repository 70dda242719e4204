// A window as one file: messages, shaping fields, ids, a manifest and a checksum. It contains no KV, no salt, and nothing that another
// engine or tenant could not read. The importing engine recomputes the KV.

import { endianness } from 'node:os'
import { CwmError } from '../base/errors.ts'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import { messageDialects } from '../dialects/index.ts'
import type { BaseWindow } from './base-windows.ts'
import { checksumOf } from './checksum.ts'

const FORMAT = 'cwm-window'
const VERSION = 1

/** What an import reads from a file. */
export interface ExportedWindow {
  readonly name: string
  readonly prompt: Prompt
  readonly replyAt: number
  readonly tokenIds: Uint32Array
  readonly tags: readonly string[]
  readonly note?: string
}

/** The file's JSON. `token_ids` are 32-bit little-endian integers in base64. */
export function exportWindow({ record, prompt, tokenIds }: BaseWindow): JsonObject {
  return {
    format: FORMAT,
    version: VERSION,
    name: record.name,
    created_at: new Date(record.createdAt).toISOString(),
    ...(record.parent === undefined ? {} : { parent: record.parent }),
    tags: record.tags,
    ...(record.note === undefined ? {} : { note: record.note }),
    dialect: prompt.dialect,
    model: prompt.model,
    ...(record.keys === undefined ? {} : { engine_name: record.keys.engineName }),
    reply_at: record.replyAt,
    messages: prompt.messages,
    shaping: prompt.shaping,
    tokens: tokenIds.length,
    token_ids: idsToText(tokenIds),
    checksum: checksumOf({ prompt, tokenIds }),
  }
}

/** Throws `INVALID_IMPORT`, naming the invalid field; also if the content does not match its checksum. */
export function readExport(file: JsonValue): ExportedWindow {
  if (!isObject(file) || file.format !== FORMAT)
    throw invalid('format', `must be "${FORMAT}": this file is not an exported window`)
  if (file.version !== VERSION) throw invalid('version', `must be ${VERSION}: this cwm reads no other version`)
  const dialect = messageDialects.find((known) => known === file.dialect)
  if (dialect === undefined) throw invalid('dialect', `must be one of ${messageDialects.join(', ')}`)
  const { model, messages, shaping, name, note, tags, reply_at: replyAt } = file
  if (typeof model !== 'string' || model === '') throw invalid('model', 'must be a non-empty string')
  if (!Array.isArray(messages) || messages.length === 0)
    throw invalid('messages', 'must be a non-empty array of messages')
  if (!isObject(shaping)) throw invalid('shaping', 'must be an object')
  if (typeof name !== 'string') throw invalid('name', 'must be a string')
  if (typeof replyAt !== 'number' || !Number.isInteger(replyAt) || replyAt < 0 || replyAt > messages.length) {
    throw invalid('reply_at', 'must be an integer from 0 to the number of messages')
  }
  const labels = Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === 'string') : []
  const tokenIds = idsFromText(file.token_ids)
  const prompt: Prompt = { dialect, model, messages, shaping }
  if (checksumOf({ prompt, tokenIds }) !== file.checksum) {
    throw invalid('checksum', 'does not match the content; the file was modified or damaged')
  }
  return { name, prompt, replyAt, tokenIds, tags: labels, ...(typeof note === 'string' ? { note } : {}) }
}

function idsToText(ids: Uint32Array): string {
  const bytes = Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength)
  return (endianness() === 'BE' ? Buffer.from(bytes).swap32() : bytes).toString('base64')
}

function idsFromText(text: JsonValue | undefined): Uint32Array {
  const bytes = typeof text === 'string' ? new Uint8Array(Buffer.from(text, 'base64')) : undefined
  if (bytes === undefined || bytes.byteLength % 4 !== 0) throw invalid('token_ids', 'must be 32-bit integers in base64')
  if (endianness() === 'BE') Buffer.from(bytes.buffer).swap32()
  return new Uint32Array(bytes.buffer)
}

function invalid(field: string, why: string): CwmError {
  return new CwmError('INVALID_IMPORT', `\`${field}\`: ${why}`, { param: field })
}
