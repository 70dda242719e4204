// The program of the thread that `TextIndex` runs.

/** Pieces are numbered within their text, and texts within their group: group × 2^24 + text × 2^4 + piece. */
const PIECE_BITS = 4
const GROUP_BITS = 24
export const MAX_TEXTS = 2 ** (GROUP_BITS - PIECE_BITS)

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
const GROUP = ${2 ** GROUP_BITS}
const TEXT = ${2 ** PIECE_BITS}
const spaces = new Map()

function create() {
  const db = new Libsql(':memory:')
  db.exec('PRAGMA auto_vacuum = FULL')
  db.exec('PRAGMA secure_delete = ON')
  db.exec('CREATE TABLE pieces (id INTEGER PRIMARY KEY, place INTEGER, text TEXT, words TEXT)')
  db.exec("CREATE VIRTUAL TABLE found USING fts5(words, content='', tokenize='porter unicode61 remove_diacritics 2')")
  db.exec("INSERT INTO found (found, rank) VALUES ('secure-delete', 1)")
  return {
    db,
    keep: db.prepare('INSERT INTO pieces VALUES (?, ?, ?, ?)'),
    index: db.prepare('INSERT INTO found (rowid, words) VALUES (?, ?)'),
    first: db.prepare('SELECT id, coalesce(words, text) AS words FROM pieces WHERE id >= ? AND id < ? LIMIT ?'),
    unindex: db.prepare("INSERT INTO found (found, rowid, words) VALUES ('delete', ?, ?)"),
    drop: db.prepare('DELETE FROM pieces WHERE id = ?'),
    rank: db.prepare('SELECT rowid AS id, min(rank) AS rank FROM found WHERE found MATCH ? GROUP BY rowid >> ${GROUP_BITS}'),
    best: db.prepare('SELECT rowid AS id, rank FROM found WHERE found MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rank, rowid LIMIT 1'),
    read: db.prepare('SELECT place, text FROM pieces WHERE id >= ? AND id < ?'),
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
    const first = id - (id % TEXT)
    const pieces = space.read.all(first, first + TEXT)
    return {
      group: Math.floor(id / GROUP),
      score: -rank,
      place: pieces[0].place,
      text: pieces.map(({ text }) => text).join(''),
    }
  })
}

const orders = {
  add({ space: name, group, from, texts }) {
    const space = spaces.get(name) ?? create()
    spaces.set(name, space)
    return changed(space, () => {
      for (const [n, { place, pieces }] of texts.entries()) {
        for (const [piece, { text, words }] of pieces.entries()) {
          const id = group * GROUP + (from + n) * TEXT + piece
          space.keep.run(id, place, text, words ?? null)
          space.index.run(id, words ?? text)
        }
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
