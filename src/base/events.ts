// What happens to sessions and windows, as it is told to whoever listens: ids and numbers, never content.

export const eventKinds = ['frozen', 'thawed', 'truncated', 'rolled_over', 'prefix_broken', 'deleted'] as const
export type EventKind = (typeof eventKinds)[number]

export interface CwmEvent {
  readonly tenant: string
  readonly kind: EventKind
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly session?: string
  readonly window?: string
  /** By wire name. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>
}

/** An event that the store has given its place in the order of all. */
export interface StoredEvent extends CwmEvent {
  /** Compared by the store that gave it, and by nobody else. */
  readonly id: string
}

export interface EventSink {
  /** Returns at once. Nothing waits for it or fails by it. */
  emit(event: Omit<CwmEvent, 'at'>): void
}
