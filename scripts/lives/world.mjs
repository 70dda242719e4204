// The oracle of the lives: what each window holds and what stands before each session, as plain arrays of messages. It predicts what cwm
// must answer and what the engine must receive. It shares no code with cwm.

/** A longer prompt than this is not continued, so that lives of any length stay fast and fit the context limit of a small model. */
export const MAX_MESSAGES = 30

/** The system message of no window. */
const FOREIGN = { role: 'system', content: 'You are nobody.' }

const isSystem = ({ role }) => role === 'system'

/**
 * Messages are `{ role, content }`. An action is plain JSON: `{ act, session, window, … }`. Each `expect…` returns `{ codes }` if cwm must
 * reject the action with one of these error codes, otherwise what must happen.
 */
export class World {
  /**
   * By name: `base`, the window that it is based on, and `baseName`, that window's name at the thaw; `own`, the messages since; `last`, the last
   * turn, which stood on `lastBase` and can be frozen by REST on that window only; `isAtHand`: cwm still has that turn; `isUnsure`: only
   * rejected turns have named it, so it may not have begun.
   */
  sessions = new Map()
  /** By name: `{ messages, isPending }`. */
  windows = new Map()

  sessionOf(name) {
    return this.sessions.get(name) ?? { own: [], isAtHand: false, isUnsure: false }
  }

  /** Whether a live session is based on the window of that name. */
  isHeld(name) {
    const window = this.windows.get(name)
    return [...this.sessions.values()].some(({ base }) => base !== undefined && base === window)
  }

  /** The places where a window may be cut: after a reply, after the leading system messages, and at the end. */
  placesOf(name) {
    const { messages } = this.windows.get(name) ?? { messages: [] }
    const all = messages.map((_, i) => i + 1)
    return all.filter((at) => {
      const [last, next] = [messages[at - 1], messages[at]]
      if (next === undefined) return true
      return isSystem(last) ? !isSystem(next) && messages.slice(0, at).every(isSystem) : last.role === 'assistant'
    })
  }

  /**
   * A turn that sends only the new message, the session's own messages, or the whole conversation with its window. `system` leads a first
   * turn. Behind a window, `repeatsSystem` sends the window's system message again, and `isForeign` another one.
   */
  // A name that the session is already based on changes nothing, even if another window has that name by now.
  expectTurn(action) {
    const { session: name, style, thaw, freeze } = action
    const session = this.sessionOf(name)
    const isNew = thaw !== undefined && thaw !== session.baseName
    const codes = []
    if (isNew && !this.windows.has(thaw)) codes.push('window_not_found')
    if (freeze !== undefined && this.windows.has(freeze)) codes.push('window_name_taken')
    const base = isNew ? this.windows.get(thaw) : session.base
    const before = base?.messages ?? []
    const own = isNew ? [] : session.own
    const asked = askedIn(action, before.length + own.length === 0)
    const lead = style === 'whole' ? [] : leadOf(action, before)
    if (lead.length > 0 && action.isForeign) codes.push('window_diverges')
    const sent = { new: asked, own: [...own, ...asked], whole: [...before, ...own, ...asked] }[style]
    const messages = [...lead, ...sent]
    if (codes.length > 0) return { codes, messages }
    const prompt = style === 'whole' ? sent : [...before, ...sent]
    return { messages, prompt, base, baseName: isNew ? thaw : session.baseName, own: [...own, ...asked] }
  }

  /** The turn was rejected. */
  refused({ session: name }) {
    if (!this.sessions.has(name)) this.sessions.set(name, { own: [], isAtHand: false, isUnsure: true })
  }

  /** The turn was answered. */
  turned({ session: name, freeze }, { prompt, base, baseName, own }, reply) {
    const said = { role: 'assistant', content: reply }
    const last = [...prompt, said]
    if (base !== undefined) base.isPending = false
    this.sessions.set(name, {
      ...{ base, baseName, own: [...own, said], isUnsure: false },
      ...{ last, lastBase: base, isAtHand: true },
    })
    if (freeze !== undefined) this.windows.set(freeze, { messages: last, isPending: true })
  }

  expectFreeze({ session: name, window }) {
    const codes = []
    const session = this.sessions.get(name)
    if (session === undefined) codes.push('session_not_found')
    else if (!session.isAtHand || session.lastBase !== session.base)
      codes.push('session_empty', ...(session.isUnsure ? ['session_not_found'] : []))
    if (this.windows.has(window)) codes.push('window_name_taken')
    return codes.length > 0 ? { codes } : {}
  }

  froze({ session, window }) {
    this.windows.set(window, { messages: this.sessions.get(session).last, isPending: false })
  }

  expectThaw({ window }) {
    return this.windows.has(window) ? {} : { codes: ['window_not_found'] }
  }

  thawed({ session: name, window }) {
    const base = this.windows.get(window)
    base.isPending = false
    this.sessions.set(name, { ...this.sessionOf(name), base, baseName: window, own: [], isUnsure: false })
  }

  expectClone({ source, window, at }) {
    const codes = []
    if (!this.windows.has(source)) codes.push('window_not_found')
    else if (at !== undefined && !this.placesOf(source).includes(at)) codes.push('invalid_field', 'invalid_request')
    if (this.windows.has(window)) codes.push('window_name_taken')
    return codes.length > 0 ? { codes } : {}
  }

  cloned({ source, window, at }) {
    const from = this.windows.get(source)
    from.isPending = false
    this.windows.set(window, { messages: from.messages.slice(0, at), isPending: false })
  }

  expectMake({ window }) {
    return this.windows.has(window) ? { codes: ['window_name_taken'] } : {}
  }

  made({ window, messages }) {
    this.windows.set(window, { messages, isPending: false })
  }

  expectDelete({ window }) {
    return this.windows.has(window) ? {} : { codes: ['window_not_found'] }
  }

  /** Sessions based on it keep it. */
  deleted({ window }) {
    this.windows.delete(window)
  }

  expectEnd({ session }) {
    const known = this.sessions.get(session)
    if (known === undefined) return { codes: ['session_not_found'] }
    return known.isUnsure ? { mayFail: 'session_not_found' } : {}
  }

  ended({ session }) {
    this.sessions.delete(session)
  }

  /** cwm was killed: last turns are lost, because they are kept in memory. Returns the windows whose freeze may not have begun. */
  restarted() {
    for (const [name, session] of this.sessions) this.sessions.set(name, { ...session, isAtHand: false })
    return [...this.windows].filter(([, { isPending }]) => isPending).map(([name]) => name)
  }

  /** What became of a freeze that was pending at the restart. */
  settled(window, isFrozen) {
    if (isFrozen) this.windows.get(window).isPending = false
    else this.windows.delete(window)
  }
}

/** What the client adds to its conversation. */
const askedIn = ({ system, question }, isFirst) => [
  ...(isFirst && system !== undefined ? [{ role: 'system', content: system }] : []),
  { role: 'user', content: question },
]

/** A system message before what the client sends behind a window. */
function leadOf({ isForeign, repeatsSystem }, before) {
  if (before.length === 0) return []
  if (isForeign) return [FOREIGN]
  return repeatsSystem ? before.slice(0, 1).filter(isSystem) : []
}
