// The label `model` of metrics. The name comes from the client, so only names that the engine serves become labels.

/** Maximum number of names that become labels; an engine may list thousands of adapters. */
const MAX_MODELS = 100
/** Maximum length of a name. */
const MAX_NAME = 128
const OTHER = 'other'

/** @param isServed Whether the engine lists that model. */
export function modelLabeler(isServed: (name: string) => boolean): (name: string | undefined) => string {
  // Counters only grow, so a name stays a label after the engine no longer lists it.
  const known = new Set<string>()
  return (name) => {
    if (name === undefined) return ''
    if (known.has(name)) return name
    if (known.size >= MAX_MODELS || name.length > MAX_NAME || name === '' || !isServed(name)) return OTHER
    known.add(name)
    return name
  }
}
