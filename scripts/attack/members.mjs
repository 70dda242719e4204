// The top-level members of a JSON object, including repeated ones. Independent of cwm's own scanner, which it verifies.

const SPACE = /[ \t\r\n]*/y
const PLAIN = /[^[\]{}",]*/y

function match(pattern, text, at) {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? ''
}

/** The string whose opening quote is at `at`. Not a regular expression, which fails on strings of megabytes. */
function stringAt(text, at) {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text[end - 1 - slashes] === '\\') slashes++
    if (slashes % 2 === 0) return text.slice(at, end + 1)
  }
  return ''
}

/** Offset after the value at `at`. */
function behindValue(text, at) {
  let depth = 0
  let end = at
  while (end < text.length) {
    const c = text[end]
    if (c === '"') end += stringAt(text, end).length || text.length
    else if (c === '{' || c === '[') {
      depth++
      end++
    } else if (c === '}' || c === ']') {
      if (depth === 0) return end
      depth--
      end++
    } else if (c === ',') {
      if (depth === 0) return end
      end++
    } else end += match(PLAIN, text, end).length
    if (depth === 0 && (c === '"' || c === '}' || c === ']')) return end
  }
  return end
}

/** `[key, text of the value]` of each top-level member, in order, keys unescaped. Throws unless the text is a JSON object. */
export function topLevelMembers(text) {
  const members = []
  let at = match(SPACE, text, 0).length
  if (text[at] !== '{') throw new Error('not an object')
  at++
  at += match(SPACE, text, at).length
  while (text[at] === '"') {
    const key = stringAt(text, at)
    at += key.length
    at += match(SPACE, text, at).length + 1
    at += match(SPACE, text, at).length
    const end = behindValue(text, at)
    members.push([JSON.parse(key), text.slice(at, end).trim()])
    at = end + match(SPACE, text, end).length
    if (text[at] === ',') at += 1 + match(SPACE, text, at + 1).length
  }
  if (text[at] !== '}') throw new Error('not an object')
  return members
}
