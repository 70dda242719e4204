// The tag in a header of each request, which tells the recorder who sent it, and whether it must be rejected.

export const TAG_HEADER = 'x-attack'

/** A marker in the conversations of honest tenants. No attacker may ever read it. */
export const HONEST_MARK = 'honest-secret'

/**
 * `owner`: the identity; requests of different owners must never share a salt. `session`: the session name, if any.
 * `refused`: cwm must not forward the request.
 */
export function tagOf({ id, owner, session = '-', refused = false }) {
  return [id, owner, session, refused ? 'refused' : 'any'].join('/')
}

/** The parts of a tag; undefined if the text is not a tag. */
export function readTag(text) {
  const parts = typeof text === 'string' ? text.split('/') : []
  if (parts.length !== 4) return undefined
  const [id, owner, session, may] = parts
  return { id, owner, session, refused: may === 'refused' }
}

/** A word that is unique to the prompt of one request. */
export const nonceOf = ({ id, owner }) => `nonce.${owner}.${id}`

/** The owners of all such words in a text. */
export const ownersIn = (text) => new Set([...text.matchAll(/nonce\.([a-z0-9-]+)\./g)].map(([, owner]) => owner))
