// What the dashboard reads of REST's answers.

export interface Usage {
  readonly prompt_tokens: number
  readonly total_tokens: number
  readonly cached_tokens: number | null
}

export interface Tiers {
  readonly total: number
  readonly l1: number | null
  readonly l2: number | null
}

export interface FreezeReceipt {
  readonly durability: 'l2' | 'l1' | 'unverified' | 'text'
  readonly tokens: number
  readonly chunks: number
  readonly restorable_tokens: number
  readonly tiers: Tiers
  readonly pinned: boolean
  readonly warnings: readonly string[]
  readonly notes?: readonly string[]
}

export interface ThawReceipt {
  readonly window: string
  readonly session_id: string
  readonly tokens: number
  readonly restored_tokens: number | null
  readonly recomputed_tokens: number | null
  readonly tiers_before: Tiers
  readonly drift: boolean
  readonly ms: Readonly<Record<string, number>>
  readonly at: string
  readonly warnings: readonly string[]
  readonly notes?: readonly string[]
}

export interface Window {
  readonly name: string
  readonly state: 'pending' | 'freezing' | 'frozen' | 'failed'
  readonly reason?: string
  readonly origin?: string
  readonly session_id?: string
  readonly parent?: string
  readonly tags?: readonly string[]
  readonly note?: string
  readonly pin?: string
  readonly model?: string
  readonly messages?: number
  readonly created_at?: string
  readonly thawed_at?: string
  readonly thaws?: number
  readonly receipt?: FreezeReceipt
}

export interface Session {
  readonly id: string
  readonly base_window?: string
  readonly model?: string
  readonly last_turn_at: string
  readonly turns: number
  readonly usage?: Usage
  readonly limit?: number
  readonly auto_window?: string
  readonly rollover?: { readonly window: string; readonly messages: number }
  readonly truncation?: { readonly at: string }
  readonly prefix_break?: {
    readonly cause: string
    readonly message?: number
    readonly field?: string
    readonly at: string
  }
  readonly freezable?: boolean
  readonly thaw?: ThawReceipt
}

export interface Deletion {
  readonly kind: 'window' | 'session'
  readonly name: string
  readonly state: 'open' | 'done'
  readonly deleted_chunks: number
  readonly residual_chunks: number | null
  readonly kept_chunks: number
  readonly kept_for: readonly string[]
  readonly lineage_retired: boolean
  readonly warnings: readonly string[]
}

export interface Page<T> {
  readonly data: readonly T[]
  readonly next_cursor?: string
}

export interface Tenant {
  readonly id: string
  readonly usage: {
    readonly windows: number
    readonly window_bytes: number
    readonly sessions: number
    readonly pinned_tokens: number
  }
}

export interface Health {
  readonly status: 'ok' | 'degraded'
  readonly version: string
  readonly store: { readonly kind: string; readonly ok: boolean }
  readonly upstream: { readonly ok: boolean; readonly error?: string }
  readonly lmcache: { readonly ok: boolean | null; readonly warnings: readonly string[] }
}
