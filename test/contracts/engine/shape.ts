// What two answers must have in common: keys in their order, types and nulls. Text, numbers and ids may differ.

/** The shape of a value. An array is represented by its distinct shapes; numeric keys (worker ids) count as one key. */
export function shape(value: unknown): unknown {
  if (value === null) return 'null'
  if (Array.isArray(value)) {
    const shapes = new Map(value.map((item) => [JSON.stringify(shape(item)), shape(item)]))
    return [...shapes.keys()].sort().map((key) => shapes.get(key))
  }
  if (typeof value !== 'object') return typeof value
  return Object.entries(value).map(([key, field]) => [/^\d+$/.test(key) ? '#' : key, shape(field)])
}

/**
 * The shapes of a stream's events with their names; equal neighbors count once. Choices are compared one after the other, because their
 * interleaving depends on timing.
 */
export function streamShape(stream: string): unknown[] {
  const events = stream.trim().split('\n\n')
  const ordered = events.map((event, at) => ({ event, choice: choiceOf(event), at }))
  ordered.sort((a, b) => a.choice - b.choice || a.at - b.at)
  const shapes = ordered.map(({ event }) => JSON.stringify(event.split('\n').map(lineShape)))
  return shapes.filter((text, at) => text !== shapes[at - 1]).map((text) => JSON.parse(text) as unknown)
}

/** The choice of an event; events without one come last. */
function choiceOf(event: string): number {
  const index = event.match(/^data: .*?"choices":\[\{"index":(\d+)/)?.[1]
  if (index !== undefined) return Number(index)
  return event.includes('"choices":[]') || event === 'data: [DONE]' ? Number.MAX_SAFE_INTEGER : 0
}

function lineShape(line: string): unknown {
  if (!line.startsWith('data: {')) return line
  return shape(JSON.parse(line.slice('data: '.length)))
}

/** An error message with normalized numbers and quoted names. */
export function errorText(value: unknown, names: readonly string[]): string {
  let text = JSON.stringify(value)
  for (const name of names) text = text.replaceAll(name, 'NAME')
  return text
    .replace(/resp_[0-9a-f]+|[0-9a-f]{32}/g, 'ID')
    .replace(/http:[^']*/g, 'URL')
    .replace(/\d+/g, 'N')
}
