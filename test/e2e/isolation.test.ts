// Which requests share KV: the salt that the upstream received, and the session that the answer reported.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, errorOf } from '../support/client.ts'
import { askChat, assistant, chat, prose, saltsIn, system, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack()
})

afterEach(() => {
  stack.sim.requests.clear()
})

afterAll(() => stack.close())

const CHAT = '/v1/chat/completions'
const key = (name: string) => ({ authorization: `Bearer ${name}` })
const named = (id: string) => ({ 'x-cwm-session': id })

/** The salt of the newest request to the engine, which must be unique. */
function saltSent(): string {
  const request = stack.sim.requests.all('engine').findLast((entry) => entry.method === 'POST')
  const salts = request === undefined ? [] : saltsIn(request.body)
  if (salts.length !== 1 || salts[0] === undefined) throw new Error(`${salts.length} salts were sent`)
  return salts[0]
}

const salt = async (...args: Parameters<typeof chat>): Promise<string> => {
  await chat(...args)
  return saltSent()
}

let sentences = 0
/** Text that no other test uses. */
const fresh = (): string => `Message number ${++sentences} of this suite is about a lighthouse.`

describe("exactly one salt, cwm's own", () => {
  const rest = `"model":"sim-model","max_tokens":2,"messages":[{"role":"user","content":"hi"}]`

  it.each([
    ['no salt', `{${rest}}`],
    ['a salt', `{${rest},"cache_salt":"theirs"}`],
    ['a leading salt', `{"cache_salt":"theirs",${rest}}`],
    ['an empty salt', `{${rest},"cache_salt":""}`],
    ['null', `{${rest},"cache_salt":null}`],
    ['the key escaped', `{${rest},"\\u0063ache_salt":"theirs"}`],
    [
      'a tool with a parameter of that name',
      `{${rest},"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"cache_salt":{"type":"string","default":"x"}}}}}]}`,
    ],
    ['white space and line breaks', `\n {\t"cache_salt" :\r\n "theirs" , ${rest} }\n`],
  ])('with %s', async (_, body) => {
    const got = await ask(stack.url, CHAT, { body })

    expect(got.status).toBe(200)
    const sent = stack.sim.requests.last('engine')?.body ?? Buffer.alloc(0)
    const salts = saltsIn(sent)
    expect(salts.length).toBe(1)
    expect(salts[0]).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(JSON.parse(sent.toString()).cache_salt).toBe(salts[0])
  })

  it.each([
    ['twice', `{"cache_salt":"a",${rest},"cache_salt":"b"}`],
    ['three times, one escaped', `{"cache_salt":"a",${rest},"cache\\u005fsalt":"b","cache_salt":null}`],
  ])('the key %s is rejected', async (_, body) => {
    const got = await ask(stack.url, CHAT, { body })

    expect([got.status, errorOf(got).param]).toEqual([400, 'cache_salt'])
    expect(stack.sim.requests.all('engine').filter((entry) => entry.path === CHAT)).toEqual([])
  })

  it.each([
    ['a number', '7'],
    ['a list', '["a"]'],
    ['an object', '{}'],
    ['true', 'true'],
  ])('%s is rejected as a salt', async (_, value) => {
    const got = await ask(stack.url, CHAT, { body: `{${rest},"cache_salt":${value}}` })

    expect([got.status, errorOf(got).param]).toEqual([400, 'cache_salt'])
    expect(stack.sim.requests.all('engine').filter((entry) => entry.path === CHAT)).toEqual([])
  })

  it("keeps a tool's schema", async () => {
    const schema = '{"type":"object","properties":{"cache_salt":{"type":"string"}}}'
    const tools = `[{"type":"function","function":{"name":"f","parameters":${schema}}}]`

    await ask(stack.url, CHAT, { body: `{${rest},"tools":${tools}}` })

    expect(stack.sim.requests.last('engine')?.body.toString()).toContain(tools)
  })

  it.each([
    ['/v1/completions', { model: 'sim-model', prompt: 'x', max_tokens: 1 }],
    ['/v1/responses', { model: 'sim-model', input: 'x', max_output_tokens: 5 }],
    ['/v1/messages', { model: 'sim-model', max_tokens: 3, messages: [user('hi')] }],
  ])('on %s as well', async (path, body) => {
    const got = await ask(stack.url, path, { body: { ...body, cache_salt: 'theirs' } })

    expect(got.status).toBe(200)
    expect(saltSent()).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  it('is never sent back to the client', async () => {
    const streamed = await ask(stack.url, CHAT, { body: `{${rest},"stream":true}` })
    const sent = saltSent()

    expect(streamed.text + JSON.stringify(streamed.rawHeaders)).not.toContain(sent)
  })
})

describe('a name', () => {
  it('gives the same salt at each turn', async () => {
    const headers = named('name-same')

    expect(await salt(stack.url, [user('one')], { headers })).toBe(await salt(stack.url, [user('two')], { headers }))
  })

  it('selects another salt than another name for the same text', async () => {
    const first = await salt(stack.url, [user('one')], { headers: named('name-a') })

    expect(await salt(stack.url, [user('one')], { headers: named('name-b') })).not.toBe(first)
  })

  it('in the path equals that in the header', async () => {
    const first = await salt(stack.url, [user('one')], { headers: named('name-path') })
    const turn = await chat(stack.url, [user('two')], { path: '/cwm/s/name-path/v1/chat/completions' })

    expect(turn.session).toBe('name-path')
    expect(saltSent()).toBe(first)
  })

  it('under two keys is two sessions', async () => {
    const first = await salt(stack.url, [user('one')], { headers: { ...named('shared'), ...key('one') } })
    const second = await salt(stack.url, [user('one')], { headers: { ...named('shared'), ...key('two') } })
    const nobody = await salt(stack.url, [user('one')], { headers: named('shared') })

    expect(new Set([first, second, nobody]).size).toBe(3)
  })

  it('has one lineage when its first turns are concurrent', async () => {
    const headers = named('at-once')

    await Promise.all(Array.from({ length: 8 }, (_, i) => chat(stack.url, [user(`turn ${i}`)], { headers })))

    const bodies = stack.sim.requests.all('engine').filter((entry) => entry.path === CHAT)
    expect(bodies).toHaveLength(8)
    expect(new Set(bodies.flatMap((entry) => saltsIn(entry.body))).size).toBe(1)
  })

  it('has another salt for another model in the same session', async () => {
    const first = await salt(stack.url, [user('one')], { headers: named('models') })
    await ask(stack.url, CHAT, { body: { model: 'other', messages: [user('one')] }, headers: named('models') })

    expect(saltSent()).not.toBe(first)
  })

  it("separates by the client's own salt, and from others who send the same", async () => {
    const own = (id: string, cache_salt: string) =>
      salt(stack.url, [user('one')], { headers: named(id), body: { cache_salt } })

    const salts = [await own('own-1', 'x'), await own('own-1', 'y'), await own('own-2', 'x')]

    expect(new Set(salts).size).toBe(3)
    expect(await own('own-1', 'x')).toBe(salts[0])
  })
})

describe('the prefix of a history', () => {
  it('finds the session of the second turn and of the third', async () => {
    const history = [system('Be brief.'), user(fresh())]
    const first = await chat(stack.url, history)
    const firstSalt = saltSent()
    history.push(first.reply as ReturnType<typeof user>, user('And then?'))
    const second = await chat(stack.url, history)
    history.push(second.reply as ReturnType<typeof user>, user('And after that?'))
    const third = await chat(stack.url, history)

    expect([second.session, third.session]).toEqual([first.session, first.session])
    expect(saltSent()).toBe(firstSalt)
  })

  it('finds it after a stream as well, at once', async () => {
    const words = fresh()
    const got = await askChat(stack.url, [user(words)], { body: { stream: true } })
    const content = [...got.text.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)]
      .map(([, text]) => JSON.parse(`"${text}"`))
      .join('')

    const second = await chat(stack.url, [user(words), assistant(content), user('more')])

    expect(second.session).toBe(got.headers['x-cwm-session'])
  })

  it('starts its own lineage with a first turn', async () => {
    const words = fresh()
    const first = await chat(stack.url, [user(words)])
    const firstSalt = saltSent()
    const second = await chat(stack.url, [user(words)])

    expect(second.session).not.toBe(first.session)
    expect(saltSent()).not.toBe(firstSalt)
    expect(second.cachedTokens).toBe(0)
  })

  it('never merges two strangers with the same text and the same reply', async () => {
    const words = `${fresh()} ${prose(300)}`
    const mine = await chat(stack.url, [user(words)])
    const mySalt = saltSent()
    const theirs = await chat(stack.url, [user(words)])
    const theirSalt = saltSent()
    expect(theirs.reply).toEqual(mine.reply)

    const next = await chat(stack.url, [user(words), mine.reply, user('What now?')])

    expect([mySalt, theirSalt]).not.toContain(saltSent())
    expect([mine.session, theirs.session]).not.toContain(next.session)
    expect(next.cachedTokens).toBe(0)
  })

  it('only counts within a key', async () => {
    const words = fresh()
    const first = await chat(stack.url, [user(words)], { headers: key('alpha') })
    const alpha = saltSent()

    const stolen = await chat(stack.url, [user(words), first.reply, user('go on')], { headers: key('beta') })

    expect(stolen.session).not.toBe(first.session)
    expect(saltSent()).not.toBe(alpha)
  })

  it.each([
    ['user', { user: 'u2' }, {}],
    ['safety_identifier', { safety_identifier: 'u2' }, {}],
    ['prompt_cache_key', { prompt_cache_key: 'u2' }, {}],
    ['metadata.user_id', { metadata: { user_id: 'u2' } }, {}],
    ['x-openwebui-chat-id', {}, { 'x-openwebui-chat-id': 'u2' }],
  ])('only counts within %s', async (_, body, headers) => {
    const words = fresh()
    const first = await chat(stack.url, [user(words)], { body: { user: 'u1' } })

    const other = await chat(stack.url, [user(words), first.reply, user('go on')], {
      body: { user: 'u1', ...body },
      headers,
    })
    const same = await chat(stack.url, [user(words), first.reply, user('go on')], { body: { user: 'u1' } })

    expect(other.session).not.toBe(first.session)
    expect(same.session).toBe(first.session)
  })

  it('finds the branch of a regenerated turn and of an edited one', async () => {
    const words = fresh()
    const first = await chat(stack.url, [user(words)])
    const upTo = [user(words), first.reply]
    const second = await chat(stack.url, [...upTo, user('the second')])
    const again = await chat(stack.url, [...upTo, user('the second')])
    const edited = await chat(stack.url, [...upTo, user('the second, edited')])
    const deeper = await chat(stack.url, [...upTo, user('the second'), second.reply, user('the third')])

    const found = [second, again, edited, deeper].map((turn) => turn.session)
    expect(new Set([first.session, ...found]).size).toBe(1)
  })

  it('does not find a history with a changed reply', async () => {
    const words = fresh()
    const first = await chat(stack.url, [user(words)])

    const other = await chat(stack.url, [user(words), assistant('I never said that.'), user('go on')])

    expect(other.session).not.toBe(first.session)
  })

  it('separates concurrent turns', async () => {
    const openings = Array.from({ length: 12 }, () => fresh())
    const firsts = await Promise.all(openings.map((words) => chat(stack.url, [user(words)])))
    const seconds = await Promise.all(
      openings.map((words, i) => chat(stack.url, [user(words), firsts[i]?.reply, user('go on')])),
    )

    expect(new Set(firsts.map((turn) => turn.session)).size).toBe(12)
    expect(seconds.map((turn) => turn.session)).toEqual(firsts.map((turn) => turn.session))
  })

  it('recognizes each choice of an answer with n 2 as its branch', async () => {
    const words = fresh()
    const got = await askChat(stack.url, [user(words)], { body: { n: 2, temperature: 1 } })
    const { choices } = JSON.parse(got.text) as { choices: { message: { content: string } }[] }

    for (const { message } of choices) {
      const next = await chat(stack.url, [user(words), assistant(message.content), user('go on')])
      expect(next.session).toBe(got.headers['x-cwm-session'])
    }
  })

  it('works for responses and messages', async () => {
    const words = fresh()
    const one = await ask(stack.url, '/v1/responses', { body: { model: 'sim-model', input: words } })
    const { output } = JSON.parse(one.text) as { output: unknown[] }
    const two = await ask(stack.url, '/v1/responses', {
      body: { model: 'sim-model', input: [user(words), ...output, user('go on')] },
    })
    const three = await ask(stack.url, '/v1/messages', {
      body: { model: 'sim-model', max_tokens: 30, messages: [user(words)] },
    })
    const { content } = JSON.parse(three.text) as { content: unknown }
    const four = await ask(stack.url, '/v1/messages', {
      body: {
        model: 'sim-model',
        max_tokens: 30,
        messages: [user(words), { role: 'assistant', content }, user('go on')],
      },
    })

    expect(two.headers['x-cwm-session']).toBe(one.headers['x-cwm-session'])
    expect(four.headers['x-cwm-session']).toBe(three.headers['x-cwm-session'])
    expect(three.headers['x-cwm-session']).not.toBe(one.headers['x-cwm-session'])
  })
})

describe('cached tokens', () => {
  it('are zero for another session with the same long prompt, and many for the second turn of the first', async () => {
    const words = `${fresh()} ${prose(900)}`
    const first = await chat(stack.url, [user(words)])
    const stranger = await chat(stack.url, [user(words)], { body: { cache_salt: 'theirs' } })
    const otherKey = await chat(stack.url, [user(words)], { headers: key('cached-other') })
    const other = await chat(stack.url, [user(`${words}!`)], { headers: named('cached-a') })
    const second = await chat(stack.url, [user(`${words}!`), other.reply, user('go on')], {
      headers: named('cached-a'),
    })

    expect(first.promptTokens).toBeGreaterThan(1000)
    expect([first, stranger, otherKey, other].map((turn) => turn.cachedTokens)).toEqual([0, 0, 0, 0])
    expect(second.cachedTokens).toBeGreaterThan(1000)
  })
})

describe('a field that bypasses the gateway', () => {
  it.each([
    'kv_transfer_params',
    'ec_transfer_params',
    'request_id',
    'priority',
    'data_parallel_rank',
    'vllm_xargs',
    'prompt_embeds',
  ])('%s is rejected, in each dialect', async (field) => {
    for (const path of [CHAT, '/v1/completions', '/v1/responses']) {
      const body = { model: 'sim-model', messages: [user('x')], prompt: 'x', input: 'x', max_tokens: 2, [field]: 'x' }
      const got = await ask(stack.url, path, { body })
      expect([path, got.status, errorOf(got).param, errorOf(got).code]).toEqual([path, 400, field, 'forbidden_field'])
    }
    const got = await ask(stack.url, '/v1/messages', {
      body: { model: 'sim-model', messages: [user('x')], max_tokens: 2, [field]: 'x' },
    })
    expect(JSON.parse(got.text)).toMatchObject({
      type: 'error',
      error: { type: 'invalid_request_error', message: expect.stringContaining(field) },
    })
    expect(stack.sim.requests.all('engine').filter((entry) => entry.method === 'POST')).toEqual([])
  })

  it('is rejected however the key is escaped', async () => {
    const got = await ask(stack.url, CHAT, {
      body: '{"model":"sim-model","messages":[],"kv_transfer\\u005fparams":{"do_remote_prefill":true}}',
    })

    expect([got.status, errorOf(got).param]).toEqual([400, 'kv_transfer_params'])
  })

  it.each(['x-data-parallel-rank', 'X-Vllm-Priority'])('header %s is rejected', async (name) => {
    const got = await askChat(stack.url, [user('x')], { headers: { [name]: '1' } })

    expect([got.status, errorOf(got).param]).toEqual([400, name.toLowerCase()])
  })
})

describe('a restart of cwm', () => {
  it('keeps salts and histories; with another secret cwm does not start', async () => {
    const own = await startStack()
    try {
      const sent = () => {
        const request = own.sim.requests.all('engine').findLast((entry) => entry.path === CHAT)
        return saltsIn(request?.body ?? Buffer.alloc(0))[0]
      }
      await chat(own.url, [user('one')], { headers: named('lasting') })
      const byName = sent()
      const first = await chat(own.url, [user('The barge is called Elin.')])
      const byPrefix = sent()

      await own.restart()

      await chat(own.url, [user('two')], { headers: named('lasting') })
      expect(sent()).toBe(byName)
      const second = await chat(own.url, [user('The barge is called Elin.'), first.reply, user('What is it called?')])
      expect(second.session).toBe(first.session)
      expect(sent()).toBe(byPrefix)
      await expect(own.restart({ secret: 'another secret of some length' })).rejects.toMatchObject({
        code: 'CONFIG',
        param: 'secret',
      })
    } finally {
      await own.close()
    }
  })

  it('with a raised kv_epoch changes every salt', async () => {
    const own = await startStack()
    try {
      const sent = () => saltsIn(own.sim.requests.last('engine')?.body ?? Buffer.alloc(0))[0]
      await chat(own.url, [user('one')], { headers: named('epoch') })
      const before = sent()

      await own.restart({ kv_epoch: 1 })
      await chat(own.url, [user('one')], { headers: named('epoch') })

      expect(sent()).not.toBe(before)
    } finally {
      await own.close()
    }
  })
})
