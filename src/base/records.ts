// The nouns of cwm as values: sessions, windows, receipts. No behaviour, no wire names (api/to-wire.ts translates).

import type { JsonObject, JsonValue } from './json.ts'

/**
 * Which of the upstream's request shapes a conversation uses: a name in the table of `src/dialects/index.ts`, which alone says what differs.
 * Windows keep the dialect they were frozen from.
 */
export type Dialect = string

/** A prompt before it is rendered to token ids: messages (or input items) and every other body field that shapes it. */
export interface Prompt {
  /** One that has messages. */
  readonly dialect: Dialect
  /** The served model or adapter name that the client sent. */
  readonly model: string
  readonly messages: readonly JsonValue[]
  /** Body fields beside the messages that shape the prompt (`tools`, `system`, `chat_template_kwargs`, …), by wire name. */
  readonly shaping: JsonObject
}

/** Token counts of one turn, from the upstream's `usage`; `cachedTokens` is absent when the upstream does not report it. */
export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly totalTokens: number
  readonly cachedTokens?: number
  /** Of the prompt and its longest answer, where there are several and `totalTokens` is the sum of all. */
  readonly contextTokens?: number
}

/** One space of KV within a lineage: what its salt is derived from beside tenant and lineage. */
export interface KvSpace {
  /** Served model or adapter name. */
  readonly model: string
  readonly clientSalt?: string
  readonly kvEpoch: number
}

/** Who shares a lineage when it is more than one session with its windows: all sessions of a user, or of a tenant. */
export type Sharing = 'user' | 'tenant'

/** A live conversation of one tenant. */
export interface SessionRecord {
  readonly tenant: string
  readonly id: string
  /** True when a client named it by header or path; false when the message prefix decides. */
  readonly named: boolean
  /** Random id from which the salt is derived: what may share KV. */
  readonly lineage: string
  /** Absent: the lineage is this session's and its windows' alone. */
  readonly shared?: Sharing
  /** Raised by each thaw into the session: what was begun before one is not stored over it. 0 at first. */
  readonly head: number
  /** Where its turns have put KV, oldest first; at most 64. */
  readonly spaces: readonly KvSpace[]
  /** Older spaces fell out of `spaces`: a delete cannot name all that the session has left. */
  readonly spacesLost?: boolean
  /** Name of the window whose messages stand before this session's own. */
  readonly baseWindow?: string
  /** `id` of that window: a name that was frozen anew is another window. */
  readonly baseWindowId?: string
  readonly model?: string
  readonly dialect?: Dialect
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  readonly lastTurnAt: number
  readonly turns: number
  /** Of the last finished turn. */
  readonly usage?: Usage
  /** The upstream's `max_model_len`, in tokens. */
  readonly limit?: number
  /** The proof of the last thaw into this session. */
  readonly thaw?: ThawReceipt
  /** What cwm has frozen of it by itself. */
  readonly auto?: AutoFreezes
  /** Where its prompts were cut last; absent once a history of more messages than were left out has gone out whole. */
  readonly rollover?: Rollover
  /** The last finished turn's answer was cut by the context limit. */
  readonly truncation?: Truncation
  /** Of the last turn that was cold and should not have been. */
  readonly prefixBreak?: PrefixBreak
}

/** Automatic freezes of a session. */
export interface AutoFreezes {
  /** How many there were; the newest is called `auto.<hash of the session>.<count>`. */
  readonly count: number
  /** The newest one's name. */
  readonly window: string
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Total tokens at which the next one is due; absent: when the context fills to `freeze_at` again. */
  readonly nextAtTokens?: number
}

/** A cut of what is sent to the engine, whose client goes on sending everything. */
export interface Rollover {
  /** Hash of the messages that are left out; the same on any proxy. */
  readonly cut: string
  /** The window that holds the whole. */
  readonly window: string
  /** How many messages are left out. */
  readonly messages: number
  /** When this cut was first made, milliseconds since the epoch. */
  readonly at: number
}

/** An answer that ended because the context was full, not because the model or the client said so. */
export interface Truncation {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly limit: number
  /** Its headers were out before anybody could know: the next answer tells. */
  readonly streamed: boolean
}

/**
 * Why a turn was cold that should have been warm. `message`: one differs from the last turn's. `tools`, `template`: what shapes the prompt
 * beside the messages differs. `reply`: the template renders the last reply otherwise than the model wrote it (dropped reasoning, say).
 * `model`: another model, adapter or salt. `evicted`: the same prompt, and its KV was gone. `unknown`: the last turn is not at hand.
 */
export type BreakCause = 'message' | 'tools' | 'template' | 'reply' | 'model' | 'evicted' | 'unknown'

/** Where a prompt left the one before it. Places and numbers, never content. */
export interface PrefixBreak {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly cause: BreakCause
  /** Index of the first message that differs. */
  readonly message?: number
  /** The field of it, or of the body, that differs, as a path: `content[1].text`. */
  readonly field?: string
  /** Bytes of UTF-8 in that field up to the first difference. */
  readonly offset?: number
  readonly cachedTokens: number
  /** Tokens that the two prompts would have shared. */
  readonly expectedTokens: number
}

/** A digest of a message prefix that ended with a delivered reply, and the session that it belongs to. */
export interface Boundary {
  /** base64url SHA-256 over scope and canonical messages; the scope holds tenant and user. */
  readonly digest: string
  readonly tenant: string
  readonly sessionId: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  /** A boundary displaces only older ones of its own rank. Absent: 0, as most are. Ranks above 0 are for boundaries that must last. */
  readonly rank?: number
}

/** `session`: frozen from one. `clone`: of `parent`. `content`: made from messages that a client gave. `import`: from an exported file. */
export type WindowOrigin = 'session' | 'clone' | 'content' | 'import'

/** `freezing`: recorded, not yet proved. `frozen`: see `durability`. `failed`: see `reason`; the name can be tried again. */
export type WindowState = 'freezing' | 'frozen' | 'failed'

/**
 * What of a window outlives the engine's own cache.
 * `l2`: every whole chunk was seen behind memory. `l1`: every whole chunk was seen or found, memory is sure.
 * `unverified`: pinned and computed, but neither directory nor probe showed all chunks.
 * `text`: nothing but messages and ids (under one chunk, no LMCache, or a prompt that the tokenizer endpoints cannot express).
 */
export type Durability = 'l2' | 'l1' | 'unverified' | 'text'

/**
 * Whether the coordinator holds a pin of ours for the window's chunks.
 * `pinning`: asked, the answer is unknown after a crash. `pinned`: counted. `none`: never asked, or given back after a failure.
 * `released`: given back on purpose (its time was over, or its tenant's budget went to others); a thaw asks for it again.
 */
export type PinState = 'none' | 'pinning' | 'pinned' | 'released'

/** Chunks of a sequence seen per tier and L2 adapter at one moment. `total` counts whole chunks; null where unknown. */
export interface TierCounts {
  readonly total: number
  readonly l1: number | null
  readonly l2: number | null
  /** L2 chunks by backend (`fs`, `resp`, …). */
  readonly backends: Readonly<Record<string, number>>
}

/** Durations of the steps of one operation, in milliseconds. */
export type StepMs = Readonly<Record<string, number>>

/** What a freeze proved. */
export interface FreezeReceipt {
  readonly durability: Durability
  /** Length of the frozen id sequence. 0 when the ids could not be had. */
  readonly tokens: number
  /** The ids cover every message. Absent: they end before some, or nobody knows. */
  readonly whole?: true
  readonly chunkSize: number | null
  readonly chunks: number
  /** Tokens that a later thaw can load instead of computing: whole chunks that were shown to exist. */
  readonly restorableTokens: number
  readonly tiers: TierCounts
  readonly pinned: boolean
  /** Of the warm call: tokens that were cached already, and tokens computed to complete the KV. Null where not reported. */
  readonly cachedTokens: number | null
  readonly computedTokens: number | null
  readonly ms: StepMs
  /** What fell short, in words for an operator. */
  readonly warnings: readonly string[]
  /** What is normal and explains the figures. Absent in receipts of versions that put it among the warnings. */
  readonly notes?: readonly string[]
}

/** What a thaw proved. `restoredTokens` is the warm call's own `cached_tokens`. */
export interface ThawReceipt {
  readonly window: string
  readonly sessionId: string
  readonly tokens: number
  /** Null when the upstream does not report cached tokens (`--enable-prompt-tokens-details` is off). */
  readonly restoredTokens: number | null
  readonly recomputedTokens: number | null
  readonly tiersBefore: TierCounts
  /** The template or tokenizer gives other ids than at freeze; the new ones were warmed. */
  readonly drift: boolean
  readonly ms: StepMs
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly warnings: readonly string[]
  /** As in `FreezeReceipt`. */
  readonly notes?: readonly string[]
}

/**
 * What a KV backend needs beside ids and salt to find a sequence again, even after the engine has changed. Everything but the engine's name
 * is the backend's own (LMCache's: kv/lmcache/sequence.ts). It is stored, so it holds no secret, and each backend reads all that it ever wrote.
 */
export interface KvHandle extends JsonObject {
  /** The engine's own model path (`root` of /v1/models), not the served name. */
  readonly engineName: string
}

/** An immutable snapshot of a session under a name: everything but its content. */
export interface WindowRecord {
  readonly tenant: string
  readonly name: string
  /** Random; a name that is frozen again after a failure gets a new one. */
  readonly id: string
  readonly state: WindowState
  /** Why the state is `failed`. */
  readonly reason?: string
  readonly origin: WindowOrigin
  /** The session it was frozen from; absent for windows that were not. */
  readonly sessionId?: string
  readonly lineage: string
  readonly shared?: Sharing
  /** Name of the window that the session had been thawed from, or that this one is a clone of. */
  readonly parent?: string
  /** Sorted, each once. */
  readonly tags: readonly string[]
  readonly note?: string
  readonly dialect: Dialect
  readonly model: string
  /** The client's own `cache_salt` at freeze: it is part of the salt under which the KV lies. */
  readonly clientSalt?: string
  /** The epoch of the salt under which its KV lies and its pin is held. */
  readonly kvEpoch: number
  readonly messageCount: number
  /** Where the last reply begins among the messages, and the size of the prompt before it as the engine counted it. */
  readonly replyAt: number
  readonly promptTokens?: number
  /** Index from which its messages are text only: they were not answered, or nobody knows under what their KV lies. Absent: none are. */
  readonly textFrom?: number
  /** Of messages, shaping fields and ids as they are stored, before encryption. */
  readonly bytes: number
  readonly createdAt: number
  readonly frozenAt?: number
  /** The last thaw, and how many there were. */
  readonly thawedAt?: number
  readonly thaws?: number
  /** When the pin is given back, milliseconds since the epoch; absent: never by time. */
  readonly pinUntil?: number
  /** SHA-256 over prompt and ids, base64url; set when frozen. */
  readonly checksum?: string
  readonly pin: PinState
  /** What the pin was asked for under: needed to give it back after the engine has changed. */
  readonly keys?: KvHandle
  readonly receipt?: FreezeReceipt
}

/** The heavy part of a window: never listed, read only to thaw, verify or repair it. */
export interface WindowContent {
  readonly prompt: Prompt
  /** Exact ids that every next prompt begins with; empty until the freeze has had them from the upstream. */
  readonly tokenIds: Uint32Array
}

/** Why chunks of something deleted are still there: who else holds them. `isolation`: the lineage is shared by user or tenant. */
export type KeptFor = 'session' | 'window' | 'isolation'

/** What a delete proved. */
export interface DeletionReceipt {
  /** Chunks that were found and are gone. */
  readonly deletedChunks: number
  /** Chunks that are still there and should not be; they are tried again. Null: nobody could tell. */
  readonly residualChunks: number | null
  /** Chunks of it that stay because others hold them. */
  readonly keptChunks: number
  readonly keptFor: readonly KeptFor[]
  /** The pin that it held was given back; null when it held none. */
  readonly unpinned: boolean | null
  /** Nothing holds the lineage any more: its salt is never dispatched again. */
  readonly lineageRetired: boolean
  readonly ms: StepMs
  readonly warnings: readonly string[]
}

/**
 * A delete: the order that is written when the thing itself goes out of the store, and what came of it. `open`: something is still to be
 * done or to be looked at again. `done`: see `receipt`.
 */
export interface DeletionRecord {
  readonly tenant: string
  readonly id: string
  readonly kind: 'window' | 'session'
  /** The window's name or the session's id. */
  readonly name: string
  readonly lineage: string
  readonly shared?: Sharing
  /** Whose chunks are to go. */
  readonly spaces: readonly KvSpace[]
  readonly spacesLost?: boolean
  /** The pin to give back, with the names under which it was made. */
  readonly pin: PinState
  readonly keys?: KvHandle
  readonly state: 'open' | 'done'
  readonly at: number
  readonly tries: number
  /** Milliseconds since the epoch. */
  readonly nextTryAt: number
  readonly receipt?: DeletionReceipt
}

/** One window operation, for the audit log: who, what, when, with what outcome. No content. */
export interface AuditEntry {
  /** Random. */
  readonly id: string
  readonly at: number
  readonly tenant: string
  /** By which key it was asked: a configured key's name, `operator`, or `cwm` itself. */
  readonly actor: string
  readonly action:
    | 'freeze'
    | 'thaw'
    | 'prefetch'
    | 'clone'
    | 'create'
    | 'import'
    | 'export'
    | 'update'
    | 'delete'
    | 'end'
    | 'erase'
  /** `window`, `session` or `tenant`, and its name. */
  readonly target: 'window' | 'session' | 'tenant'
  readonly name: string
  /** `ok`, or the code of an error. */
  readonly outcome: string
  /** Numbers of the receipt, by wire name. */
  readonly receipt?: Readonly<Record<string, string | number | boolean | null>>
}

/** What a tenant holds in the store. */
export interface TenantUsage {
  readonly windows: number
  /** Sum of the windows' `bytes`. */
  readonly windowBytes: number
  readonly sessions: number
  /** Tokens of windows whose pin is `pinned` or `pinning`. */
  readonly pinnedTokens: number
}
