// Events about sessions, windows, and (for the operator) engines, as sent to subscribers: ids and numbers, never content.

export const eventKinds = [
  'frozen',
  'thawed',
  'truncated',
  'rolled_over',
  'prefix_broken',
  'thaw_lost',
  'deleted',
  'engine',
] as const
export type EventKind = (typeof eventKinds)[number]

export interface CwmEvent {
  readonly tenant: string
  readonly kind: EventKind
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly session?: string
  readonly window?: string
  /** By their names in the API. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>
}

/** An event with its position in the store's total order. */
export interface StoredEvent extends CwmEvent {
  /** Only comparable by the store that assigned it. */
  readonly id: string
}

export interface EventSink {
  /** Returns at once. Callers never wait for it or fail because of it. */
  emit(event: Omit<CwmEvent, 'at'>): void
}
