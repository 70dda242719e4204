// The part of the store's interface about engines, shared by all proxies: the placement of keys on engines, and drained engines.

/** Engines are named by their id (`Engine.id`), keys by an opaque text that reveals neither tenant nor lineage. */
export interface EngineMethods {
  /** The engine on which a key is placed. Undefined if it is not placed, or if the placement has expired. */
  getPlacement(key: string): Promise<string | undefined>
  /**
   * Stores `engine` for a key for `ttlMs` milliseconds, unless another engine is stored that is not `instead`; returns the one that is
   * stored now. Atomic. Extends the expiry either way; a store may skip an extension by less than a thirty-second of `ttlMs`. Stores up to a
   * million placements (Redis: of each engine); beyond that, drops those that expire first.
   */
  place(key: string, engine: string, instead: string | undefined, ttlMs: number): Promise<string>
  /** How many keys are placed on an engine. In SQLite, expired ones count until `dropExpired`. */
  countPlacements(engine: string): Promise<number>
  /** Marks an engine as draining, or removes the mark. Durable. Notifies other processes by `onChange`. Keeps the newest thousand marks. */
  setDraining(engine: string, draining: boolean): Promise<void>
  /** The engines that are marked as draining, sorted by id. Some may no longer be in the fleet. */
  listDraining(): Promise<readonly string[]>
}

/** Default bound of placements. One takes about 200 bytes in SQLite, 400 in Redis. */
export const maxPlacements = 1_000_000

/** Bound of engines that are marked as draining. */
export const maxDraining = 1_000
