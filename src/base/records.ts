// The records of cwm as values: sessions, windows, receipts. No behavior, and no names of the API (api/to-wire.ts translates).

import type { JsonObject, JsonValue } from './json.ts'

/**
 * The upstream's request format that a conversation uses: a name in the table of `src/dialects/index.ts`, which defines all differences.
 * Windows keep the dialect they were frozen with.
 */
export type Dialect = string

/** A prompt before it is rendered to token ids: messages (or input items) and every other body field that shapes it. */
export interface Prompt {
  /** A dialect with messages. */
  readonly dialect: Dialect
  /** The served model or adapter name that the client sent. */
  readonly model: string
  readonly messages: readonly JsonValue[]
  /** Body fields besides the messages that shape the prompt (`tools`, `system`, `chat_template_kwargs`, …), by their names in the API. */
  readonly shaping: JsonObject
}

/** Token counts of one turn, from the upstream's `usage`. `cachedTokens` is absent if the upstream does not report it. */
export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly totalTokens: number
  readonly cachedTokens?: number
  /** Tokens of the prompt and its longest answer, if `totalTokens` is the sum over several. */
  readonly contextTokens?: number
}

/** One space of KV within a lineage: what its salt is derived from besides tenant and lineage. */
export interface KvSpace {
  /** Served model or adapter name. */
  readonly model: string
  readonly clientSalt?: string
  readonly kvEpoch: number
}

/** Who shares a lineage beyond one session and its windows: all sessions of a user, or of a tenant. */
export type Sharing = 'user' | 'tenant'

/** A live conversation of one tenant. */
export interface SessionRecord {
  readonly tenant: string
  readonly id: string
  /** True if a client named it by header or path; false if it is found by its message prefix. */
  readonly named: boolean
  /** Random id from which the salt is derived. KV is shared within a lineage only. */
  readonly lineage: string
  /** Absent: the lineage belongs to this session and its windows only. */
  readonly shared?: Sharing
  /** Incremented by each thaw into the session, from 0. Turns that started before a thaw are not stored over it. */
  readonly head: number
  /** The spaces in which its turns stored KV, oldest first; at most 64. */
  readonly spaces: readonly KvSpace[]
  /** Older spaces were dropped from `spaces`, so a delete cannot name all chunks of the session. */
  readonly spacesLost?: boolean
  /** Name of the base window, whose messages precede this session's own. */
  readonly baseWindow?: string
  /** `id` of that window, because a name may be reused for another window. */
  readonly baseWindowId?: string
  readonly model?: string
  readonly dialect?: Dialect
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  readonly lastTurnAt: number
  readonly turns: number
  /** Usage of the last finished turn. */
  readonly usage?: Usage
  /** The upstream's `max_model_len`, in tokens. */
  readonly limit?: number
  /** The receipt of the last thaw into this session. */
  readonly thaw?: ThawReceipt
  /** Set if the first turn after that thaw did not find the KV that the thaw had warmed. Removed by the next thaw. */
  readonly thawLoss?: ThawLoss
  /** Its automatic freezes. */
  readonly auto?: AutoFreezes
  /** The last cut of its prompts. Removed once a history with more messages than were cut has been sent whole. */
  readonly rollover?: Rollover
  /** Set if the context limit cut the last finished turn's answer. */
  readonly truncation?: Truncation
  /** Why its last unexpectedly cold turn was cold. */
  readonly prefixBreak?: PrefixBreak
}

/** Automatic freezes of a session. */
export interface AutoFreezes {
  /** The number of automatic freezes; the newest is named `auto.<hash of the session>.<count>`. */
  readonly count: number
  /** The name of the newest one. */
  readonly window: string
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Total tokens at which the next one is due; absent: when the context fills to `freeze_at` again. */
  readonly nextAtTokens?: number
}

/** A cut of the prompts sent to the engine. The client keeps sending everything. */
export interface Rollover {
  /** Hash of the cut messages; the same on any proxy. */
  readonly cut: string
  /** The window with the whole conversation. */
  readonly window: string
  /** The number of cut messages. */
  readonly messages: number
  /** When this cut was first made, milliseconds since the epoch. */
  readonly at: number
}

/** An answer that ended because the context was full, not because of the model or the client. */
export interface Truncation {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly limit: number
  /** Its headers were sent before this was known; the next answer has the header. */
  readonly streamed: boolean
}

/**
 * Why a turn was unexpectedly cold. `message`: a message differs from the last turn's. `tools`, `template`: something that shapes the
 * prompt besides the messages differs. `reply`: the template renders the last reply differently from what the model wrote (for example
 * without reasoning). `model`: another model, adapter or salt. `evicted`: the prompt is the same, but its KV is gone. `unknown`: the last
 * turn is unavailable.
 */
export type BreakCause = 'message' | 'tools' | 'template' | 'reply' | 'model' | 'evicted' | 'unknown'

/** Where a prompt diverges from the previous one. Positions and numbers, never content. */
export interface PrefixBreak {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly cause: BreakCause
  /** Index of the first message that differs. */
  readonly message?: number
  /** The differing field of the message or the body, as a path: `content[1].text`. */
  readonly field?: string
  /** Bytes of UTF-8 in that field before the first difference. */
  readonly offset?: number
  readonly cachedTokens: number
  /** Tokens that the two prompts should have shared. */
  readonly expectedTokens: number
}

/** A digest of a message prefix that ended with a delivered reply, and the session that it belongs to. */
export interface Boundary {
  /** base64url SHA-256 over scope and canonical messages; the scope includes tenant and user. */
  readonly digest: string
  readonly tenant: string
  readonly sessionId: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  /** A boundary only displaces older ones of its own rank. Absent: 0, the usual rank. Higher ranks are for boundaries that must last. */
  readonly rank?: number
}

/** `session`: frozen from one. `clone`: of `parent`. `content`: created from a client's messages. `import`: from an exported file. */
export type WindowOrigin = 'session' | 'clone' | 'content' | 'import'

/** `freezing`: recorded, not yet verified. `frozen`: see `durability`. `failed`: see `reason`; the name can be used again. */
export type WindowState = 'freezing' | 'frozen' | 'failed'

/**
 * What of a window survives outside the engine's own cache. `l2`: every whole chunk was found behind memory, in storage that all LMCache
 * servers share (if there is more than one). `l1`: every whole chunk was
 * found, but only memory is certain. `unverified`: pinned and computed, but neither directory nor probe found all chunks. `text`: only
 * messages and ids (less than one chunk, no LMCache, or a prompt that the tokenizer endpoints cannot express).
 */
export type Durability = 'l2' | 'l1' | 'unverified' | 'text'

/**
 * Whether the coordinator has our pin on the window's chunks. `pinning`: requested; after a crash, the result is unknown. `pinned`:
 * counted. `none`: never requested, or released after a failure. `released`: released on purpose (it expired, or the tenant's budget was
 * needed); a thaw requests it again.
 */
export type PinState = 'none' | 'pinning' | 'pinned' | 'released'

/** Chunks of a sequence found per tier and L2 adapter at one moment. `total` counts whole chunks; null if unknown. */
export interface TierCounts {
  readonly total: number
  readonly l1: number | null
  readonly l2: number | null
  /** L2 chunks by backend (`fs`, `resp`, …). */
  readonly backends: Readonly<Record<string, number>>
}

/** Durations of the steps of one operation, in milliseconds. */
export type StepMs = Readonly<Record<string, number>>

/** What a freeze verified. */
export interface FreezeReceipt {
  readonly durability: Durability
  /** Length of the frozen id sequence; 0 if the ids could not be obtained. */
  readonly tokens: number
  /** The ids cover every message. Absent: they end earlier, or this is unknown. */
  readonly whole?: true
  readonly chunkSize: number | null
  readonly chunks: number
  /** Tokens that a later thaw can load instead of recomputing: whole chunks that were found. */
  readonly restorableTokens: number
  readonly tiers: TierCounts
  /** Bytes of KV in one whole chunk. Null if the KV layer did not say. Absent in receipts of older versions. */
  readonly chunkBytes?: number | null
  /**
   * Whether all LMCache servers share the L2 that holds it, so that every engine can load it. Null if unknown, or if there is one server.
   * Absent in receipts of older versions.
   */
  readonly l2Shared?: boolean | null
  readonly pinned: boolean
  /** Of the warm call: tokens that were already cached, and tokens computed to complete the KV. Null if not reported. */
  readonly cachedTokens: number | null
  readonly computedTokens: number | null
  readonly ms: StepMs
  /** Problems, as messages for an operator. */
  readonly warnings: readonly string[]
  /** Normal circumstances that explain the figures. Absent in receipts of older versions, which have them among the warnings. */
  readonly notes?: readonly string[]
}

/** What a thaw verified. `restoredTokens` is the warm call's own `cached_tokens`. */
export interface ThawReceipt {
  readonly window: string
  readonly sessionId: string
  readonly tokens: number
  /** Null if the upstream does not report cached tokens (without `--enable-prompt-tokens-details`). */
  readonly restoredTokens: number | null
  readonly recomputedTokens: number | null
  readonly tiersBefore: TierCounts
  /** The template or tokenizer produces other ids than at the freeze; the new ones were warmed. */
  readonly drift: boolean
  readonly ms: StepMs
  /** The id of the engine that was warmed. Infrastructure, so tenants do not see it. Absent in receipts of older versions. */
  readonly engine?: string
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly warnings: readonly string[]
  /** As in `FreezeReceipt`. */
  readonly notes?: readonly string[]
}

/**
 * What the first turn after a thaw missed. `moved`: another engine served it than the one that was warmed. `evicted`: the same engine, whose
 * caches no longer had it. `unknown`: a router chose the engine and does not say which one, or the receipt is of an older version.
 */
export interface ThawLoss {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly cause: 'moved' | 'evicted' | 'unknown'
  readonly cachedTokens: number
  /** Tokens that the thaw had warmed, in whole chunks. */
  readonly expectedTokens: number
}

/**
 * What a KV backend needs besides ids and salt to find a sequence again, even after the engine has changed. Everything except the engine's
 * name is private to the backend (LMCache's: kv/lmcache/sequence.ts). It is stored, so it contains no secret, and each backend must read
 * every form that it ever wrote.
 */
export interface KvHandle extends JsonObject {
  /** The engine's own model path (`root` of /v1/models), not the served name. */
  readonly engineName: string
}

/** An immutable snapshot of a session under a name, without its content. */
export interface WindowRecord {
  readonly tenant: string
  readonly name: string
  /** Random; a name that is reused after a failure gets a new id. */
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
  /** Sorted, without duplicates. */
  readonly tags: readonly string[]
  readonly note?: string
  readonly dialect: Dialect
  readonly model: string
  /** The client's own `cache_salt` at the freeze, which is part of the salt of the KV. */
  readonly clientSalt?: string
  /** The epoch of the salt of its KV and its pin. */
  readonly kvEpoch: number
  readonly messageCount: number
  /** Index at which the last reply starts, and the engine's token count of the prompt before it. */
  readonly replyAt: number
  readonly promptTokens?: number
  /** Index from which its messages are text only: they were unanswered, or the space of their KV is unknown. Absent: none are. */
  readonly textFrom?: number
  /** Bytes of messages, shaping fields and ids as stored, before encryption. */
  readonly bytes: number
  readonly createdAt: number
  readonly frozenAt?: number
  /** The time of the last thaw, and the number of thaws. */
  readonly thawedAt?: number
  readonly thaws?: number
  /** When the pin expires, milliseconds since the epoch; absent: never. */
  readonly pinUntil?: number
  /** SHA-256 over prompt and ids, base64url; set when frozen. */
  readonly checksum?: string
  readonly pin: PinState
  /** The handle of the pin, needed to release it after the engine has changed. */
  readonly keys?: KvHandle
  readonly receipt?: FreezeReceipt
}

/** The heavy part of a window: never listed, only read to thaw, verify or repair it. */
export interface WindowContent {
  readonly prompt: Prompt
  /** The exact ids that every next prompt starts with; empty until the freeze has obtained them from the upstream. */
  readonly tokenIds: Uint32Array
}

/** One operation on a window, for the audit log: who, what, when, and the outcome. No content. */
export interface AuditEntry {
  /** Random. */
  readonly id: string
  readonly at: number
  readonly tenant: string
  /** The key that requested it: a configured key's name, `operator`, or `cwm` itself. */
  readonly actor: string
  readonly action:
    | 'freeze'
    | 'thaw'
    | 'ask'
    | 'prefetch'
    | 'clone'
    | 'create'
    | 'import'
    | 'export'
    | 'read'
    | 'update'
    | 'delete'
    | 'end'
    | 'erase'
    | 'reload'
    | 'drain'
    | 'resume'
    | 'revoke'
  /**
   * `window`, `library`, `session`, `tenant`, `settings`, `engine` or `key`, and its name; or `windows`, and how they were chosen.
   */
  readonly target: 'window' | 'windows' | 'library' | 'session' | 'tenant' | 'settings' | 'engine' | 'key'
  readonly name: string
  /** `ok`, or an error code. */
  readonly outcome: string
  /** How many equal attempts failed, if more than one; `at` is the time of the first. */
  readonly count?: number
  /** When the last of them failed. */
  readonly lastAt?: number
  /** Numbers of the receipt, by their names in the API. */
  readonly receipt?: Readonly<Record<string, string | number | boolean | null>>
}

/** What a tenant has in the store. */
export interface TenantUsage {
  readonly windows: number
  /** Sum of the windows' `bytes`, held ones included. */
  readonly windowBytes: number
  readonly sessions: number
  /** Tokens of windows whose pin is `pinned` or `pinning`. */
  readonly pinnedTokens: number
}
