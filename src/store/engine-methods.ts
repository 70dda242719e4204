// What the proxies share about engines, as part of the store's interface: which engine has the KV of which key, and which engines drain.

/** Engines are named by their id (`Engine.id`), keys by an opaque text that reveals neither tenant nor lineage. */
export interface EngineMethods {
  /** The engine that was placed for a key. Undefined if there is none, or if it has expired. */
  getPlacement(key: string): Promise<string | undefined>
  /**
   * Stores `engine` for a key for `ttlMs` milliseconds, unless another engine is stored that is not `instead`; returns the one that is
   * stored now. Atomic. Extends the expiry either way; a store may skip an extension by less than a thirty-second of `ttlMs`. Stores up to a
   * million placements (Redis: of each engine); beyond that, drops those that expire first.
   */
  place(key: string, engine: string, instead: string | undefined, ttlMs: number): Promise<string>
  /** How many keys are placed on an engine. Exact, but for expired ones that are counted until `dropExpired` in SQLite. */
  countPlacements(engine: string): Promise<number>
  /** Marks an engine as draining, or no longer. Durable. Other processes learn of it by `onChange`. Keeps the newest thousand. */
  setDraining(engine: string, draining: boolean): Promise<void>
  /** The engines that are marked as draining, in order of their ids. They need not exist any longer. */
  listDraining(): Promise<readonly string[]>
}

/** Default bound of placements. One takes about 200 bytes in SQLite, 400 in Redis. */
export const maxPlacements = 1_000_000

/** Bound of engines that are marked as draining. */
export const maxDraining = 1_000
