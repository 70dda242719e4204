// The label `model` of metrics: the name is the client's own words, so only one that the engine serves becomes a label.

/** Names that become labels in the life of a process; an engine may list thousands of adapters. */
const MAX_MODELS = 100
/** Characters of a name. */
const MAX_NAME = 128
const OTHER = 'other'

/** @param isServed Whether the engine lists that model. */
export function modelLabeler(isServed: (name: string) => boolean): (name: string | undefined) => string {
  // Counters only grow: a name that was a label stays one when the engine no longer lists it.
  const known = new Set<string>()
  return (name) => {
    if (name === undefined) return ''
    if (known.has(name)) return name
    if (known.size >= MAX_MODELS || name.length > MAX_NAME || name === '' || !isServed(name)) return OTHER
    known.add(name)
    return name
  }
}
