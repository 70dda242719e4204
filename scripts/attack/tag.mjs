// The tag that each request carries in a header of its own: it tells the simulator's side who sent it, and what may become of it.

export const TAG_HEADER = 'x-attack'

/** Every answer's text that an honest tenant's conversation may end up in holds this; no attacker may ever read it. */
export const HONEST_MARK = 'honest-secret'

/**
 * `owner`: whose key it is; two requests of different owners never share a salt. `session`: the name given, or none.
 * `refused`: cwm must not forward it.
 */
export function tagOf({ id, owner, session = '-', refused = false }) {
  return [id, owner, session, refused ? 'refused' : 'any'].join('/')
}

/** The parts of a tag; undefined for what is none. */
export function readTag(text) {
  const parts = typeof text === 'string' ? text.split('/') : []
  if (parts.length !== 4) return undefined
  const [id, owner, session, may] = parts
  return { id, owner, session, refused: may === 'refused' }
}

/** A word that stands in the prompt of one request alone. */
export const nonceOf = ({ id, owner }) => `nonce.${owner}.${id}`

/** Owners of all such words in a text. */
export const ownersIn = (text) => new Set([...text.matchAll(/nonce\.([a-z0-9-]+)\./g)].map(([, owner]) => owner))
