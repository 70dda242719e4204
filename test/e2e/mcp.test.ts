// The MCP server with the official client over both transports: all tools, errors, progress, resources, the prompt.

import { encode } from 'gpt-tokenizer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toolNames } from '../../src/base/tool-names.ts'
import type { DeletionJson } from '../../src/wire/deletions.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { type Agent, overHttp, overStdio } from '../support/mcp.ts'
import { frozenSession, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

/** Maximum tokens of the tool list, which an agent pays in each turn. */
const TOOL_TOKENS = 1_500

let built: BuiltCwm
let stack: Stack
beforeAll(async () => {
  ;[built, stack] = await Promise.all([buildCwm(), startStack()])
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
})

interface Listed {
  readonly windows: readonly { readonly name: string; readonly tokens?: number }[]
  readonly next_cursor?: string
}

describe.each(['http', 'stdio'] as const)('over %s', (transport) => {
  const session = `ann-${transport}`
  const first = `first-${transport}`
  let agent: Agent
  beforeAll(async () => {
    agent = transport === 'http' ? await overHttp(stack.url) : await overStdio(built, { CWM_URL: stack.url })
    await frozenSession(stack.url, { session, window: first })
  })
  afterAll(() => agent.close())

  it('offers the tools in less than 1,500 tokens, each with its annotations', async () => {
    const { tools } = await agent.client.listTools()
    const cost = encode(JSON.stringify(tools)).length
    console.log(`tools over ${transport}: ${cost} tokens`)

    expect(tools.map(({ name }) => name)).toEqual([...toolNames])
    expect(cost).toBeLessThan(TOOL_TOKENS)
    const reading = tools.filter(({ annotations }) => annotations?.readOnlyHint === true)
    const destroying = tools.filter(({ annotations }) => annotations?.destructiveHint === true)
    expect(reading.map(({ name }) => name)).toEqual([
      'window_list',
      'window_status',
      'window_ask',
      'windows_ask',
      'session_list',
      'cache_stats',
      'health_check',
    ])
    expect(destroying.map(({ name }) => name)).toEqual(['window_delete', 'library_add'])
  })

  it('freezes, shows, clones, thaws, and deletes', async () => {
    const name = `by-agent-${transport}`
    const frozen = await agent.use<WindowJson>('window_freeze', {
      session_id: session,
      window_name: name,
      description: 'kept',
      tags: ['law', transport],
    })
    const shown = await agent.use<WindowJson & { note: string; tags: string[] }>('window_status', { window_name: name })
    const copy = `copy-${transport}`
    const cloned = await agent.use<WindowJson>('window_clone', { source_window: name, new_window_name: copy, at: 2 })
    const thawed = await agent.use<{ restored_tokens: number; session_id: string; next: object }>('window_thaw', {
      window_name: copy,
      new_session_id: `eve-${transport}`,
      continuation_prompt: 'go on',
    })
    const used = await agent.use<WindowJson>('window_status', { window_name: copy })
    const deleted = await agent.use<DeletionJson>('window_delete', { window_name: copy })
    const second = `${copy}-2`
    await agent.use('window_clone', { source_window: name, new_window_name: second })
    await agent.use('window_thaw', { window_name: second, new_session_id: `joe-${transport}` })
    const ended = await agent.use<DeletionJson>('window_delete', { window_name: second, end_sessions: true })

    expect(frozen).toMatchObject({ name, state: 'frozen' })
    expect(shown).toMatchObject({ note: 'kept', tags: [transport, 'law'].sort(), receipt: frozen.receipt })
    expect(cloned).toMatchObject({ parent: name })
    expect(thawed.restored_tokens).toBeGreaterThan(0)
    expect(thawed.next).toEqual({
      send: 'go on',
      header: `x-cwm-session: eve-${transport}`,
      base_url: `/cwm/s/eve-${transport}/v1`,
    })
    const onCopy = { count: 1, sessions: [`eve-${transport}`] }
    expect(used.base_of).toEqual(onCopy)
    expect(deleted).toMatchObject({ state: 'open', held_by: onCopy })
    expect(ended).toMatchObject({ held_by: null })
    expect(await agent.refused('window_status', { session_id: `joe-${transport}` })).toMatch('there is no session')
    expect(await agent.refused('window_status', { window_name: copy })).toMatch(`there is no window ${copy}`)
  })

  it('asks many windows, by name or tag', async () => {
    const question = 'What is the buoy called?'
    const tag = `asked-${transport}`
    await agent.use('window_clone', { source_window: first, new_window_name: `asked-${transport}`, tags: [tag] })

    const named = await agent.use<{ answers: { window: string }[]; failed: object[]; receipt: object }>('windows_ask', {
      question,
      window_names: [first, 'absent'],
      reduce: 'none',
    })
    const tagged = await agent.use('windows_ask', { question, tag, reduce: 'none', max_tokens: 7 })
    const sent = stack.sim.requests.all('engine').findLast(({ path }) => path === '/v1/chat/completions')

    expect(named.answers.map(({ window }) => window)).toEqual([first])
    expect(named.failed).toMatchObject([{ window: 'absent', error: expect.stringContaining('there is no window') }])
    expect(named.receipt).toMatchObject({ windows: 2, restored_tokens: expect.any(Number) })
    expect(JSON.parse(String(sent?.body))).toMatchObject({ max_completion_tokens: 7 })
    expect(tagged).toMatchObject({ answers: [{ window: `asked-${transport}` }], receipt: { windows: 1 } })
    for (const content of ['Lomvi', 'Lomvi too', 'Both say Lomvi']) stack.sim.script({ content })
    const reduced = await agent.use('windows_ask', { question, window_names: [first, `asked-${transport}`] })
    expect(reduced).toMatchObject({ answer: 'Both say Lomvi', answered_by: [first, `asked-${transport}`] })
    expect(await agent.refused('windows_ask', { question })).toBe('give either window_names or tag')
    expect(await agent.refused('windows_ask', { question, tag: 'nothing' })).toContain('no frozen window')
  })

  it('saves a long text as windows that can be asked by their tag', async () => {
    const library = `notes-${transport}`
    const text = `# One\n\n${prose(400)}\n\n# Two\n\n${prose(400, 'tide')}\n`

    const added = await agent.use('library_add', { library_name: library, text, title: 'Notes' })
    const asked = await agent.use('windows_ask', { question: 'Why?', tag: `library:${library}`, reduce: 'none' })

    expect(added).toMatchObject({ library, tag: `library:${library}`, state: 'ready', windows: 1 })
    expect(asked).toMatchObject({ receipt: { windows: 1 } })
    expect(await agent.refused('library_add', { library_name: 'a/b', text })).toContain('name: must be')
  })

  it('thaws a window into a session, whose next turn continues from it', async () => {
    const { session_id: thawed } = await agent.use<{ session_id: string }>('window_thaw', { window_name: first })

    const turn = await chat(stack.url, [user('What is the buoy called?')], { headers: { 'x-cwm-session': thawed } })

    expect(turn.promptTokens).toBeGreaterThan(700)
    expect(turn.cachedTokens).toBeGreaterThan(500)
  })

  it('thaws into a session with turns only with replace', async () => {
    const busy = `busy-${transport}`
    await chat(stack.url, [user('Hello')], { headers: { 'x-cwm-session': busy } })
    const asked = { window_name: first, new_session_id: busy }

    expect(await agent.refused('window_thaw', asked)).toContain(`session ${busy} would lose its context`)
    expect(await agent.use('window_thaw', { ...asked, replace: true })).toMatchObject({ session_id: busy })
  })

  it('lists windows by tag, text and session, sorted and in pages', async () => {
    for (const name of ['b', 'a', 'c']) {
      await rest(stack.url, 'POST', '/windows', { name: `${name}-${transport}`, session_id: session, tags: ['row'] })
    }
    const list = (args: object) => agent.use<Listed>('window_list', { ...args })
    const names = ({ windows }: Listed) => windows.map(({ name }) => name.split('-')[0])
    const row = { tags: ['row'], session_id: session }
    const page = await list({ ...row, sort_by: 'name', sort_order: 'asc', limit: 2 })
    const rest_ = await list({ ...row, sort_by: 'name', sort_order: 'asc', limit: 2, cursor: page.next_cursor })

    expect(names(page)).toEqual(['a', 'b'])
    expect(names(rest_)).toEqual(['c'])
    expect(rest_.next_cursor).toBeUndefined()
    expect(names(await list({ search: `a-${transport}`, tags: ['row'] }))).toEqual(['a'])
    expect(names(await list({ model: 'another' }))).toEqual([])
    expect(page.windows[0]?.tokens).toBeGreaterThan(700)
  })

  it('lists sessions, and shows one and how full it is', async () => {
    const { sessions } = await agent.use<{ sessions: { id: string; used: number; limit: number }[] }>('session_list')
    const shown = await agent.use<{ id: string; turns: number }>('window_status', { session_id: session })

    expect(sessions.find(({ id }) => id === session)).toMatchObject({ limit: 8_192 })
    expect(shown).toMatchObject({ id: session, turns: 1 })
  })

  it('reports usage, cached tokens, and health', async () => {
    const stats = await agent.use<{ windows: number; last_turns: { cached_share: number } }>('cache_stats')
    const health = await agent.use<{ status: string }>('health_check')

    expect(stats.windows).toBe(
      (await rest<{ usage: { windows: number } }>(stack.url, 'GET', '/tenants/me')).usage.windows,
    )
    expect(stats.last_turns.cached_share).toBeGreaterThanOrEqual(0)
    expect(stats.last_turns.cached_share).toBeLessThanOrEqual(1)
    expect(health).toMatchObject({ status: 'ok' })
  })

  it('overrides the near-limit policy, and removes the override', async () => {
    const before = await agent.use('auto_freeze_config')
    const changed = await agent.use('auto_freeze_config', { freeze_at: 0.5, overflow: 'reject' })
    const off = await agent.use('auto_freeze_config', { enabled: false })
    const on = await agent.use('auto_freeze_config', { enabled: true })
    await rest(stack.url, 'PUT', '/tenants/me/near-limit', {})

    expect(before).toEqual({ freeze_at: 0.75, overflow: 'pass', chosen: {} })
    expect(changed).toMatchObject({ freeze_at: 0.5, overflow: 'reject' })
    expect(off).toMatchObject({ freeze_at: 0, overflow: 'reject' })
    expect(on).toEqual({ freeze_at: 0.75, overflow: 'reject', chosen: { overflow: 'reject' } })
  })

  it('rejects contradicting arguments', async () => {
    expect(await agent.refused('auto_freeze_config', { enabled: false, freeze_at: 0.8 })).toMatch(/contradict/)
    expect(await agent.refused('auto_freeze_config', { enabled: true, freeze_at: 0 })).toMatch(/contradict/)
    expect(await agent.use('auto_freeze_config')).toMatchObject({ chosen: {} })
  })

  it('reports which argument is invalid, and why', async () => {
    expect(await agent.refused('window_freeze', { session_id: session })).toMatch(/window_name/)
    expect(await agent.refused('window_freeze', { session_id: session, window_name: 'a b' })).toMatch(/name/)
    expect(await agent.refused('window_list', { limit: 1_000 })).toMatch(/limit/)
    expect(await agent.refused('window_list', { sort_by: 'age' })).toMatch(/sort_by/)
    expect(await agent.refused('window_status', { windowname: first })).toMatch(/windowname/)
    expect(await agent.refused('window_freeze', { session_id: 'nobody', window_name: 'x' })).toBe(
      'there is no session nobody',
    )
    expect(await agent.refused('window_freeze', { session_id: session, window_name: first })).toMatch(/already exists/)
  })

  it('reports progress of a slow freeze', async () => {
    const told: (string | undefined)[] = []
    const takeBack = stack.sim.fault({
      server: 'engine',
      path: '/v1/completions',
      action: { kind: 'delay', ms: 1_500 },
    })
    await agent.use('window_freeze', { session_id: session, window_name: `slow-${transport}` }, ({ message }) => {
      told.push(message)
    })
    takeBack()

    expect(told[0]).toBe(`freezing slow-${transport}, 0 s`)
    expect(told).toContain(`freezing slow-${transport}, 1 s`)
  })

  it('offers windows as resources, without their messages', async () => {
    const { resources } = await agent.client.listResources()
    const one = resources.find(({ name }) => name === first)
    const { contents } = await agent.client.readResource({ uri: String(one?.uri) })
    const text = contents.map((content) => ('text' in content ? content.text : '')).join('')

    expect(JSON.parse(text)).toMatchObject({ name: first, state: 'frozen' })
    expect(text).not.toContain('Lomvi')
    await expect(agent.client.readResource({ uri: 'cwm://windows/none' })).rejects.toThrow('there is no window none')
  })

  it('offers a prompt that continues a window', async () => {
    const { prompts } = await agent.client.listPrompts()
    const { messages } = await agent.client.getPrompt({
      name: 'continue_window',
      arguments: { window_name: first, task: 'Sum up.' },
    })

    expect(prompts.map(({ name }) => name)).toEqual(['continue_window'])
    expect(messages).toHaveLength(1)
    expect(JSON.stringify(messages)).toContain(`window_thaw with window_name \\"${first}\\"`)
    expect(JSON.stringify(messages)).toContain('Task: Sum up.')
  })

  it('stops waiting when a call is canceled, and answers the next', async () => {
    const stopped = new AbortController()
    const takeBack = stack.sim.fault({
      server: 'engine',
      path: '/v1/completions',
      action: { kind: 'delay', ms: 5_000 },
    })
    const call = agent.client.callTool(
      { name: 'window_freeze', arguments: { session_id: session, window_name: `left-${transport}` } },
      { signal: stopped.signal, onprogress: () => stopped.abort(new Error('enough')) },
    )

    await expect(call).rejects.toThrow('enough')
    takeBack()
    expect(await agent.use('health_check')).toMatchObject({ status: 'ok' })
  })
})

describe('a conversation longer than the tools', () => {
  it('does not add to the size of a list', async () => {
    const agent = await overHttp(stack.url)
    await frozenSession(stack.url, { session: 'long', window: 'long', words: 3_000 })
    const listed = await agent.use<Listed>('window_list', { search: 'long' })
    await agent.close()

    expect(JSON.stringify(listed)).not.toContain(prose(3))
    expect(encode(JSON.stringify(listed)).length).toBeLessThan(200)
  })
})
