import { describe, expect, it } from 'vitest'
import { checkIds, Fault, Life } from './life.mjs'
import { World } from './world.mjs'

const user = (content) => ({ role: 'user', content })
const assistant = (content) => ({ role: 'assistant', content })
const system = (content) => ({ role: 'system', content })

/** Takes a turn that is answered with `reply`. */
function turn(world, action, reply) {
  const whole = { session: 's', style: 'new', ...action }
  const expected = world.expectTurn(whole)
  if (expected.codes === undefined) world.turned(whole, expected, reply)
  return expected
}

/** Session `s` is based on window `w` (a system message and two exchanges), and has had a turn since. */
function livedWorld() {
  const world = new World()
  turn(world, { question: 'a', system: 'be kind' }, 'A')
  turn(world, { style: 'own', question: 'b', freeze: 'w' }, 'B')
  world.thawed({ session: 's', window: 'w' })
  turn(world, { question: 'c' }, 'C')
  return world
}
const held = [system('be kind'), user('a'), assistant('A'), user('b'), assistant('B')]

describe('the oracle', () => {
  it.each([
    ['new', [user('d')], [...held, user('d')]],
    ['own', [user('c'), assistant('C'), user('d')], [...held, user('c'), assistant('C'), user('d')]],
    ['whole', [...held, user('c'), assistant('C'), user('d')], [...held, user('c'), assistant('C'), user('d')]],
  ])('puts the window before what is sent: %s', (style, messages, prompt) => {
    expect(livedWorld().expectTurn({ session: 's', style, question: 'd' })).toMatchObject({ messages, prompt })
  })

  it('does not repeat an equal system message', () => {
    const expected = livedWorld().expectTurn({ session: 's', style: 'new', question: 'd', repeatsSystem: true })

    expect(expected).toMatchObject({ messages: [system('be kind'), user('d')], prompt: [...held, user('d')] })
  })

  it('lets a session keep a window that was deleted, and gives its name to another', () => {
    const world = livedWorld()
    world.deleted({ window: 'w' })
    world.made({ window: 'w', messages: [user('new')] })

    expect(world.expectTurn({ session: 's', style: 'new', question: 'd' }).prompt).toEqual([...held, user('d')])
    const other = world.expectTurn({ session: 't', style: 'new', question: 'd', thaw: 'w' })
    expect(other.prompt).toEqual([user('new'), user('d')])
  })

  it.each([
    ['a thaw of an absent window', { thaw: 'x' }, ['window_not_found']],
    ['a freeze under a name in use', { freeze: 'w' }, ['window_name_taken']],
    ['another system message', { isForeign: true }, ['window_diverges']],
  ])('expects an error for %s', (_, change, codes) => {
    expect(livedWorld().expectTurn({ session: 's', style: 'own', question: 'd', ...change }).codes).toEqual(codes)
  })

  it('does not know whether a rejected turn began its session', () => {
    const world = new World()
    world.refused({ session: 's' })

    expect(world.expectEnd({ session: 's' })).toEqual({ mayFail: 'session_not_found' })
    expect(world.expectFreeze({ session: 's', window: 'w' }).codes).toEqual(['session_empty', 'session_not_found'])
  })

  it('changes nothing when a turn names the window that its session stands on, even if the name was reused', () => {
    const world = livedWorld()
    world.deleted({ window: 'w' })

    const expected = world.expectTurn({ session: 's', style: 'new', question: 'd', thaw: 'w' })

    expect(expected.prompt).toEqual([...held, user('d')])
  })

  it('has no turn at hand after a thaw of another window', () => {
    const world = livedWorld()
    world.thawed({ session: 's', window: 'w' })
    expect(world.expectFreeze({ session: 's', window: 'v' })).toEqual({})
    world.made({ window: 'other', messages: [user('new')] })

    world.thawed({ session: 's', window: 'other' })

    expect(world.expectFreeze({ session: 's', window: 'v' }).codes).toEqual(['session_empty'])
  })

  it('knows where a window may be cut', () => {
    expect(livedWorld().placesOf('w')).toEqual([1, 3, 5])
  })

  it('forgets last turns at a kill, and what was pending is to be looked up', () => {
    const world = livedWorld()
    turn(world, { session: 't', question: 'e', freeze: 'v' }, 'E')

    expect(world.restarted()).toEqual(['v'])
    expect(world.expectFreeze({ session: 's', window: 'u' }).codes).toEqual(['session_empty'])
  })
})

describe('a life', () => {
  const engine = { model: 'm', idsOf: async (messages) => messages.map(({ content }) => content.length) }
  const answering = (json, status = 200) => new Life({ request: async () => ({ status, json }) }, engine, 'p')
  const answer = (ids) => ({
    choices: [{ message: { content: 'A' } }],
    usage: { prompt_tokens: ids.length },
    prompt_token_ids: ids,
  })
  const question = { act: 'turn', session: 's', style: 'new', question: 'four' }

  it('accepts the expected prompt', async () => {
    const life = answering(answer([4]))

    await life.act(question)

    expect(life.world.sessions.get('s').own).toEqual([user('four'), assistant('A')])
  })

  it.each([
    ['a longer prompt', answer([4, 4]), 200, 'the prompt had 2 tokens, not 1'],
    ['another prompt', answer([5]), 200, 'the prompt differs from token 0 on'],
    ['an error', { error: { code: 'window_not_found' } }, 404, 'expected a success, got 404'],
  ])('finds %s', async (_, json, status, words) => {
    const failed = answering(json, status).act(question)

    await expect(failed).rejects.toThrow(words)
    await expect(failed).rejects.toBeInstanceOf(Fault)
  })

  it.each([
    ['a success', answer([4]), 200],
    ['another error', { error: { code: 'internal' } }, 500],
  ])('finds %s where an error is due', async (_, json, status) => {
    await expect(answering(json, status).act({ ...question, thaw: 'absent' })).rejects.toThrow(
      `expected the error window_not_found, got ${status}`,
    )
  })

  it('compares ids to the last one', () => {
    expect(() => checkIds([1, 2, 3], [1, 2, 4], 3)).toThrow('the prompt differs from token 2 on')
    expect(() => checkIds([1, 2], undefined, 2)).toThrow('did not return the ids')
  })
})
