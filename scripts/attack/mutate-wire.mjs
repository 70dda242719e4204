// Mutations of a request on the wire: lengths, chunks, lines, and timing; slow, disconnecting, and half-open clients.

const HUGE_CHUNK = 1_000_000

function chunks(plan, draw) {
  if (plan.body === undefined) return
  plan.framing = 'chunked'
  plan.chunk = {
    sizes: draw.pick([[1, 2, 3, 4096], [7], [HUGE_CHUNK], [1, HUGE_CHUNK]]),
    extension: draw.pick(['', '', ';x=y', ';name="a b"', ' ']),
    trailers: draw.pick([
      [],
      [],
      ['X-Cwm-Session: attack-s1'],
      ['x-trailer: 1', 'Content-Length: 0'],
      ['cache_salt: attack-x'],
    ]),
  }
  // Thousands of tiny chunks are used on small bodies only.
  if (plan.body.length > 100_000) plan.chunk.sizes = [65_536]
  // Some of these violate RFC 9112.
  if (plan.chunk.extension === ' ' || plan.chunk.trailers.length === 2) plan.broken = true
}

/** No longer a valid request: cwm may answer it or close the connection, but must forward nothing of it. */
function breakWith(plan, change) {
  plan.broken = true
  // A request that needs no body may be answered before its bytes turn out to be invalid.
  plan.refused ||= plan.salted
  plan.answers = 2
  change(plan)
  // Bytes after a broken request may be parsed as another one, or awaited. The client closes its side, so that this ends.
  plan.delivery = { kind: 'half-close' }
}

const length = (text) => (plan) => {
  plan.headers.push(['Content-Length', text(plan.body?.length ?? 0)])
  plan.framing = 'none'
}

const BREAKS = [
  length((bytes) => `${Math.max(0, bytes - 7)}`),
  length((bytes) => `${bytes + 9}`),
  length((bytes) => `+${bytes}`),
  length((bytes) => `-${bytes}`),
  length((bytes) => `0x${bytes.toString(16)}`),
  length((bytes) => `${bytes}, ${bytes + 1}`),
  length(() => '99999999999999999999'),
  (plan) => {
    plan.framing = 'length'
    plan.headers.push(['Content-Length', '3'])
  },
  (plan) => {
    plan.framing = 'chunked'
    plan.headers.push(['Content-Length', String(plan.body?.length ?? 0)])
  },
  (plan) => {
    plan.framing = 'chunked'
    plan.chunk = { end: 'zz\r\n\r\n' }
  },
  (plan) => {
    plan.framing = 'chunked'
    plan.chunk = { end: '5\r\nab\r\n0\r\n\r\n' }
  },
  (plan) => {
    plan.framing = 'chunked'
    plan.chunk = { end: 'ffffffffffffffff1\r\n' }
  },
  (plan) => {
    plan.framing = 'none'
    plan.headers.push(['Transfer-Encoding', 'xchunked'])
  },
  (plan) => {
    plan.version = 'HTTP/9.9'
  },
  (plan) => {
    plan.method = 'GE\0T'
  },
  (plan) => {
    plan.headers.push(['x bad', '1'])
  },
  (plan) => {
    plan.headers.push(['x-nul', 'a\0b'])
  },
  (plan) => {
    plan.headers.push(['x-split', 'a\r\n\r\nGET / HTTP/1.1\r\n'])
    plan.framing = 'none'
    // The part before the split is a complete request without a body.
    plan.refused = false
  },
]

function brokenWire(plan, draw) {
  if (plan.body === undefined) return
  breakWith(plan, draw.pick(BREAKS))
}

function continueFirst(plan) {
  plan.headers.push(['Expect', '100-continue'])
}

/** Sends the same request again, pipelined on one connection. */
function pipelined(plan) {
  if (plan.body === undefined || !plan.salted || plan.bodyBytes > 100_000) return
  plan.isTwice = true
}

/** Sends the complete request in pieces, with pauses. */
function slow(plan, draw) {
  plan.delivery = { kind: 'slow', pieces: draw.between(2, 12), gapMs: draw.between(1, 40) }
}

/** The client disconnects during its request, or right after it. */
function leave(plan, draw) {
  plan.leaves = true
  plan.delivery = {
    kind: 'reset',
    share: draw.pick([0.05, 0.3, 0.7, 0.99, 1, 1]),
    pieces: draw.between(1, 3),
    gapMs: draw.below(20),
  }
}

/** The client stops sending in the middle: cwm has to end the connection. */
function stall(plan, draw) {
  plan.delivery = { kind: 'stall', share: draw.pick([0, 0.02, 0.4, 0.9]) }
  plan.broken = true
  plan.refused ||= plan.salted
}

/** The client closes its side after the request, as some HTTP/1.0 clients do. */
function halfClose(plan) {
  plan.delivery = { kind: 'half-close' }
  plan.broken = true
}

function neverRead(plan) {
  plan.leaves = true
  plan.delivery = { kind: 'unread' }
}

export const WIRE_CHANGES = [
  [6, chunks],
  [4, brokenWire],
  [1, continueFirst],
  [2, pipelined],
  [3, slow],
  [4, leave],
  [0.5, stall],
  [2, halfClose],
  [1, neverRead],
]
