// Converts values to columns and back. Stored data was written here, so records are only checked enough to detect a damaged file; errors
// contain no content.

import type { SessionRecord, WindowRecord } from '../../base/records.ts'
import { openValue, type Place, type Sealer, type StoredValue, sealValue } from '../seal.ts'
import { isLasting } from '../session-rows.ts'
import { jsonIn, jsonInBytes } from '../stored-values.ts'

/** A row in libsql's raw mode: text, number, null, or a Buffer. */
export type Row = readonly unknown[]

export function textAt(row: Row, column: number): string {
  const value = row[column]
  if (typeof value !== 'string') throw new Error(`column ${column} is not a text`)
  return value
}

export function numberAt(row: Row, column: number): number {
  const value = row[column]
  if (typeof value !== 'number') throw new Error(`column ${column} is not a number`)
  return value
}

/** The stored value whose key id is in this column and whose bytes are in the next one. */
export function storedValueAt(row: Row, column: number): StoredValue {
  const bytes = row[column + 1]
  if (!(bytes instanceof Uint8Array)) throw new Error(`column ${column + 1} is not a blob`)
  return { keyId: numberAt(row, column), bytes }
}

/** A record stored as JSON text. */
export function recordAt<T extends object>(row: Row, column: number): T {
  return jsonIn<T>(textAt(row, column))
}

/** A session as the columns tenant, id, lineage, last_turn_at, lasting, record, and base_window, which a turn does not change. */
export function sessionColumns(session: SessionRecord) {
  const { tenant, id, lineage, lastTurnAt, baseWindowId = null } = session
  return [tenant, id, lineage, lastTurnAt, Number(isLasting(session)), JSON.stringify(session), baseWindowId] as const
}

/** A window's columns: the record without its texts, and the texts (reason and note), which may quote its messages. */
export interface WindowColumns {
  readonly record: string
  readonly texts: StoredValue | undefined
}

export function windowToColumns(window: WindowRecord, sealer: Sealer | undefined): WindowColumns {
  const { reason, note, ...record } = window
  const hasTexts = reason !== undefined || note !== undefined
  return {
    record: JSON.stringify(record),
    texts: hasTexts
      ? sealValue(sealer, Buffer.from(JSON.stringify({ reason, note })), windowTextsPlace(window))
      : undefined,
  }
}

/** From the adjacent columns record, key_id, words. */
export function windowAt(row: Row, column: number, sealer: Sealer | undefined): WindowRecord {
  const record = recordAt<WindowRecord>(row, column)
  if (row[column + 2] === null) return record
  return {
    ...record,
    ...jsonInBytes<object>(openValue(sealer, storedValueAt(row, column + 1), windowTextsPlace(record))),
  }
}

export function windowTextsPlace({ tenant, name, id }: Pick<WindowRecord, 'tenant' | 'name' | 'id'>): Place {
  return ['words', tenant, name, id]
}

export function promptPlace(tenant: string, name: string, id: string): Place {
  return ['prompt', tenant, name, id]
}

export function tokenIdsPlace(tenant: string, name: string, id: string): Place {
  return ['token_ids', tenant, name, id]
}

export function sequencePlace(tenant: string, deletion: string, place: number): Place {
  return ['sequence', tenant, deletion, String(place)]
}

export function libraryPlace(tenant: string, name: string): Place {
  return ['library', tenant, name]
}

export function libraryPartPlace(tenant: string, name: string, window: string): Place {
  return ['library part', tenant, name, window]
}

export function retainedPlace(tenant: string, sessionId: string): Place {
  return ['retained', tenant, sessionId]
}
