import { describe, expect, it } from 'vitest'
import { topLevelMembers } from './members.mjs'
import { Recorder } from './recorder.mjs'
import { tagOf } from './tag.mjs'

const salt = (n) => `${n}`.padStart(43, 's')
const CHAT = '/v1/chat/completions'

/** A request as cwm should forward it, of one tenant, with salt number `n`. */
function forwarded(
  n,
  { owner = 'k1', session = '-', id = `a${n}`, refused = false, headers = {}, body, path = CHAT } = {},
) {
  const text = body ?? `{"cache_salt":"${salt(n)}","messages":[]}`
  return {
    ...{ method: 'POST', path, body: Buffer.from(text) },
    headers: { connection: 'keep-alive', 'x-attack': tagOf({ id, owner, session, refused }), ...headers },
  }
}

function faultsAfter(...requests) {
  const recorder = new Recorder('session')
  for (const request of requests) recorder.see(request)
  return recorder.report().faults
}

const withBody = (members) => `{"cache_salt":"${salt(1)}",${members}}`

describe('the recorder at the engine', () => {
  it('finds nothing in correctly forwarded requests', () => {
    expect(
      faultsAfter(
        forwarded(1),
        forwarded(2, { owner: 'k2' }),
        forwarded(3, { session: 'mine' }),
        forwarded(3, { session: 'mine', id: 'a4' }),
        forwarded(5, { body: `{"priority":null,"tools":[{"cache_salt":"a"}],"cache_salt":"${salt(5)}"}` }),
      ),
    ).toEqual([])
  })

  it.each([
    ['a request that must be rejected', forwarded(1, { refused: true }), 'was to be refused and arrived'],
    ['two salts', forwarded(1, { body: withBody('"cache_s\\u0061lt":"attack-1"') }), 'occurs 2 times'],
    ['no salt', forwarded(1, { body: '{"messages":[{"cache_salt":"x"}]}' }), 'occurs 0 times'],
    ["an attacker's salt", forwarded(1, { body: '{"cache_salt":"attack-1"}' }), 'a salt that cwm did not derive'],
    ['a salt that is not a string', forwarded(1, { body: '{"cache_salt":7}' }), 'a salt that cwm did not derive'],
    ['a steering field', forwarded(1, { body: withBody('"kv_h\\u0069nts":{}') }), 'field kv_hints arrived'],
    ['a session id', forwarded(1, { body: withBody('"session_id":"attack-x"') }), 'session_id arrived'],
    ['a session id in a header', forwarded(1, { headers: { 'x-session-id': 'attack-x' } }), 'X-Session-ID arrived'],
    ['a header of cwm', forwarded(1, { headers: { 'x-cwm-session': 'a' } }), 'header x-cwm-session arrived'],
    ['a steering header', forwarded(1, { headers: { 'x-vllm-priority': '0' } }), 'header x-vllm-priority arrived'],
    ['an upgrade', forwarded(1, { headers: { upgrade: 'h2c' } }), 'header upgrade arrived'],
    ["a client's Connection", forwarded(1, { headers: { connection: 'upgrade' } }), 'a Connection header'],
    ['a coded body', forwarded(1, { headers: { 'content-encoding': 'gzip' } }), 'still encoded'],
    ['a body that is not an object', forwarded(1, { body: '[]' }), 'not a JSON object'],
    ['a chat that nobody sent', { ...forwarded(1), headers: {} }, 'nobody sent it'],
  ])('finds %s', (_, request, words) => {
    expect(faultsAfter(request)).toContainEqual(expect.stringContaining(words))
  })

  it('finds a salt that two tenants share, even in a session of the same name', () => {
    const faults = faultsAfter(forwarded(1, { session: 's' }), forwarded(1, { session: 's', owner: 'k2', id: 'a2' }))

    expect(faults).toEqual([`a2 (POST ${CHAT}): shares a salt with k1: session s`])
  })

  it('finds a salt that two sessions of a tenant share', () => {
    expect(faultsAfter(forwarded(1), forwarded(1, { id: 'a2' }))).toEqual([
      `a2 (POST ${CHAT}): shares a salt of its tenant with request a1`,
    ])
  })

  it("allows one user's requests to share a salt if users share, but not with an id of another type", () => {
    const recorder = new Recorder('user')
    const of = (user, id) => forwarded(1, { id, body: withBody(`"user":${user}`) })
    recorder.see(of('1', 'a1'))
    recorder.see(of('1', 'a2'))
    expect(recorder.report().faultCount).toBe(0)

    recorder.see(of('"1"', 'a3'))

    expect(recorder.report().faults).toEqual([expect.stringContaining('a3')])
  })
})

describe('the members of an object', () => {
  it('are all found, even if escaped, repeated or nested', () => {
    const text = ' {"a":[{"x":"}"},1] , "\\u0061" : "\\"," ,"b":{"a":{}}, "c":-1.5e3}'

    expect(topLevelMembers(text)).toEqual([
      ['a', '[{"x":"}"},1]'],
      ['a', '"\\","'],
      ['b', '{"a":{}}'],
      ['c', '-1.5e3'],
    ])
    expect(topLevelMembers('{}')).toEqual([])
  })

  it('are found after a string of megabytes', () => {
    const long = `"${'\\"'.repeat(1_000_000)}x"`

    expect(topLevelMembers(`{"a":${long},"b":1}`).map(([key]) => key)).toEqual(['a', 'b'])
  })

  it.each(['[]', '', '{"a":1', '"{}"'])('are empty for %j', (text) => {
    expect(() => topLevelMembers(text)).toThrow('not an object')
  })
})
