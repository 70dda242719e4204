// Suggests the known path that a wrong one probably meant: the base URL has a part too many or too few, or the path has a typo.

/** Longer paths are not typos, and comparing them would cost time. */
const MAX_LENGTH = 100

/** The known path closest to `path`; undefined if none is close. */
export function nearestPath(path: string, known: readonly string[]): string | undefined {
  if (path.length > MAX_LENGTH) return undefined
  const asked = path.toLowerCase().replace(/\/+$/, '')
  return byEnding(asked, known) ?? byBeginning(asked, known) ?? bySpelling(asked, known)
}

/** `/chat/completions` and `/v1/v1/chat/completions` have the same end as `/v1/chat/completions`. The longest match counts. */
function byEnding(asked: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let matched = 0
  for (const path of known) {
    const second = path.indexOf('/', 1)
    // Without the first part, which base URLs often omit or repeat.
    const tail = second === -1 ? path : path.slice(second)
    const length = [path, tail].find((end) => asked.endsWith(end))?.length ?? 0
    if (length > matched) {
      matched = length
      best = path
    }
  }
  return best
}

/** A prefix counts if only one known path continues it, as `/v1/chat` does. */
function byBeginning(asked: string, known: readonly string[]): string | undefined {
  const longer = known.filter((path) => path.startsWith(`${asked}/`))
  return longer.length === 1 ? longer[0] : undefined
}

function bySpelling(asked: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = 1 + (asked.length > 10 ? 3 : 2)
  for (const path of known) {
    if (Math.abs(path.length - asked.length) >= least) continue
    const edits = editDistance(asked, path)
    if (edits < least) {
      least = edits
      best = path
    }
  }
  return best
}

/** The Levenshtein distance: how many characters are added, removed, or replaced. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
