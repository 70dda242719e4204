// Stores created by an older cwm: the folders test/recorded/store-COMMIT (created by scripts/store-fixtures).

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Redis } from 'ioredis'
import type { ChatMessage } from './conversation.ts'

const recordings = new URL('../recorded/', import.meta.url)

/** The content of a store, as a client of the older cwm saw it. */
export interface Held {
  readonly choices: { readonly freeze_at: number; readonly overflow: string }
  readonly windows: readonly { readonly name: string; readonly tokens: number; readonly messages: readonly unknown[] }[]
  readonly named: { readonly session: string; readonly history: readonly ChatMessage[] }
  readonly unnamed: { readonly session: string; readonly history: readonly ChatMessage[] }
  /** Absent in stores of versions without libraries. */
  readonly library?: { readonly name: string; readonly windows: number; readonly tokens: number }
  readonly deletion: { readonly id: string; readonly name: string }
}

export interface OlderStores {
  readonly secret: string
  /** The key of the tenant that all of it belongs to. */
  readonly key: string
  readonly sqlite: Held
  readonly redis: Held
}

type Word = string | { readonly base64: string }

/** The folders, by name. */
export const olderStores: readonly string[] = readdirSync(recordings).filter((name) => name.startsWith('store-'))

export function readStores(name: string): OlderStores {
  return JSON.parse(readFileSync(new URL(`${name}/held.json`, recordings), 'utf8')) as OlderStores
}

/** Copies the SQLite file into a data directory. */
export function layFile(name: string, dataDir: string): void {
  writeFileSync(join(dataDir, 'cwm.sqlite'), gunzipSync(readFileSync(new URL(`${name}/sqlite.db.gz`, recordings))))
}

/** Writes the keys into an empty Redis. */
export async function fillRedis(name: string, url: string): Promise<void> {
  const commands = JSON.parse(readFileSync(new URL(`${name}/redis.json`, recordings), 'utf8')) as Word[][]
  const client = new Redis(url, { protocol: 2, maxRetriesPerRequest: 0 })
  try {
    for (const [command, ...words] of commands) await client.call(String(command), ...words.map(bytesOf))
  } finally {
    client.disconnect()
  }
}

function bytesOf(word: Word): string | Buffer {
  return typeof word === 'string' ? word : Buffer.from(word.base64, 'base64')
}
