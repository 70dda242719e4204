// The program of the thread that `TextIndex` runs.

/** Rows are numbered within their group: group × 2^20 + 0, 1, 2, … */
const GROUP_BITS = 20
export const MAX_ROWS = 2 ** GROUP_BITS

/**
 * Source text, because a thread cannot load the TypeScript that tests run.
 *
 * - Porter's stemmer makes `renewed` match `renewal`; it only changes English words.
 * - `content=''`: FTS5 keeps no second copy of the text.
 * - `secure-delete` and `secure_delete` overwrite what is deleted; FTS5 would otherwise only mark its words.
 * - `auto_vacuum` returns freed pages to the process.
 */
export const TEXT_INDEX_THREAD = `
const { parentPort, workerData } = require('node:worker_threads')
const Libsql = require(workerData.libsql)
const GROUP = ${MAX_ROWS}
const spaces = new Map()

function create() {
  const db = new Libsql(':memory:')
  db.exec('PRAGMA auto_vacuum = FULL')
  db.exec('PRAGMA secure_delete = ON')
  db.exec('CREATE TABLE texts (id INTEGER PRIMARY KEY, place INTEGER, text TEXT, words TEXT)')
  db.exec("CREATE VIRTUAL TABLE found USING fts5(words, content='', tokenize='porter unicode61 remove_diacritics 2')")
  db.exec("INSERT INTO found (found, rank) VALUES ('secure-delete', 1)")
  return {
    db,
    keep: db.prepare('INSERT INTO texts VALUES (?, ?, ?, ?)'),
    index: db.prepare('INSERT INTO found (rowid, words) VALUES (?, ?)'),
    first: db.prepare('SELECT id, coalesce(words, text) AS words FROM texts WHERE id >= ? AND id < ? LIMIT ?'),
    unindex: db.prepare("INSERT INTO found (found, rowid, words) VALUES ('delete', ?, ?)"),
    drop: db.prepare('DELETE FROM texts WHERE id = ?'),
    rank: db.prepare('SELECT rowid AS id, min(rank) AS rank FROM found WHERE found MATCH ? GROUP BY rowid >> ${GROUP_BITS}'),
    best: db.prepare('SELECT rowid AS id, rank FROM found WHERE found MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rank, rowid LIMIT 1'),
    read: db.prepare('SELECT place, text FROM texts WHERE id = ?'),
    pages: db.prepare('PRAGMA page_count'),
  }
}

function changed({ db, pages }, change) {
  const before = pages.get().page_count
  db.exec('BEGIN')
  try {
    change()
    db.exec('COMMIT')
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
  return (pages.get().page_count - before) * 4096
}

function withText(space, rows) {
  return rows.map(({ id, rank }) => {
    const { place, text } = space.read.get(id)
    return { group: Math.floor(id / GROUP), score: -rank, place, text }
  })
}

const orders = {
  add({ space: name, group, from, rows }) {
    const space = spaces.get(name) ?? create()
    spaces.set(name, space)
    return changed(space, () => {
      let id = group * GROUP + from
      for (const { place, text, words } of rows) {
        space.keep.run(id, place, text, words ?? null)
        space.index.run(id, words ?? text)
        id++
      }
    })
  },
  drop({ space: name, group, atMost }) {
    const space = spaces.get(name)
    const rows = space?.first.all(group * GROUP, (group + 1) * GROUP, atMost) ?? []
    if (rows.length > 0) {
      changed(space, () => {
        for (const { id, words } of rows) {
          space.unindex.run(id, words)
          space.drop.run(id)
        }
      })
    }
    return rows.length === atMost
  },
  rank({ space: name, groups, match, atMost }) {
    const space = spaces.get(name)
    if (space === undefined) return []
    const order = new Map(groups.map((group, i) => [group, i]))
    const orderOf = ({ id }) => order.get(Math.floor(id / GROUP))
    const rows = space.rank.all(match).filter((row) => orderOf(row) !== undefined)
    rows.sort((a, b) => a.rank - b.rank || orderOf(a) - orderOf(b))
    return withText(space, rows.slice(0, atMost))
  },
  best({ space: name, group, match }) {
    const space = spaces.get(name)
    return space === undefined ? [] : withText(space, space.best.all(match, group * GROUP, (group + 1) * GROUP - 1))
  },
  end({ space: name }) {
    spaces.get(name)?.db.close()
    spaces.delete(name)
  },
}

parentPort.on('message', ({ id, order, args }) => {
  if (order === 'close') {
    for (const { db } of spaces.values()) db.close()
    return parentPort.close()
  }
  try {
    parentPort.postMessage({ id, value: orders[order](args) })
  } catch (error) {
    // Without its message, which may quote text.
    parentPort.postMessage({ id, failed: String(error?.code ?? error?.name) })
  }
})
`
