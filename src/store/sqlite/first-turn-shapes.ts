// The shapes of compact rows, each stored once, with the number of rows that have it.

import { jsonIn } from '../stored-values.ts'
import type { Shape } from './first-turn-codec.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { numberAt, textAt } from './sqlite-rows.ts'

/** A client may name many models. */
const MAX_SHAPES = 1_024

export interface StoredShape {
  readonly id: number
  readonly text: string
  readonly shape: Shape
  /** The number of rows with this shape. */
  rows: number
}

export class FirstTurnShapes {
  readonly #sql
  readonly #onRollback: (undo: () => void) => void
  #byText = new Map<string, StoredShape>()
  #byId = new Map<number, StoredShape>()

  /** `onRollback` registers what undoes a change if the current transaction is rolled back. */
  constructor(db: SqliteDatabase, onRollback: (undo: () => void) => void) {
    this.#onRollback = onRollback
    this.#sql = db.prepareAll({
      all: 'SELECT id, shape FROM first_turn_shapes',
      add: 'INSERT INTO first_turn_shapes (id, tenant, shape) VALUES (?, ?, ?)',
      drop: 'DELETE FROM first_turn_shapes WHERE id = ?',
    })
  }

  /** Reads all shapes again; rows are not counted yet. */
  load(): void {
    this.#byText = new Map()
    this.#byId = new Map()
    for (const row of this.#sql.all.all()) this.#note(numberAt(row, 0), textAt(row, 1))
  }

  byId(id: number): StoredShape {
    const stored = this.#byId.get(id)
    if (stored === undefined) throw new Error('a stored first turn has an unknown shape')
    return stored
  }

  of(tenant: string): readonly StoredShape[] {
    return [...this.#byId.values()].filter(({ shape }) => shape.tenant === tenant)
  }

  all(): Iterable<StoredShape> {
    return this.#byId.values()
  }

  /** Stores it if it is new. Only inside a transaction. Undefined if there are too many. */
  put(text: string): StoredShape | undefined {
    const known = this.#byText.get(text)
    if (known !== undefined) return known
    if (this.#byText.size >= MAX_SHAPES) this.drop([...this.#byId.values()])
    if (this.#byText.size >= MAX_SHAPES) return undefined
    const stored = this.#note(Math.max(0, ...this.#byId.keys()) + 1, text)
    this.#onRollback(() => this.#forget(stored))
    this.#sql.add.run(stored.id, stored.shape.tenant, text)
    return stored
  }

  /** Drops those of these shapes that no row has. Only inside a transaction. */
  drop(shapes: readonly StoredShape[]): void {
    for (const stored of shapes) {
      if (stored.rows > 0) continue
      this.#sql.drop.run(stored.id)
      this.#forget(stored)
      this.#onRollback(() => this.#keep(stored))
    }
  }

  #note(id: number, text: string): StoredShape {
    const stored = { id, text, shape: jsonIn<Shape>(text), rows: 0 }
    this.#keep(stored)
    return stored
  }

  #keep(stored: StoredShape): void {
    this.#byText.set(stored.text, stored)
    this.#byId.set(stored.id, stored)
  }

  #forget({ id, text }: StoredShape): void {
    this.#byText.delete(text)
    this.#byId.delete(id)
  }
}
