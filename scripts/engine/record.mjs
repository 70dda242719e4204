// Records real responses of the running engine in test/recorded/*.json: complete responses, streams as text, one per line.
//   npm run engine:record        CWM_ENGINE_URL, CWM_LMCACHE_URL, CWM_COORDINATOR_URL select other servers than those of up.sh
//   RENDER=1                     records only the render endpoints (start the engine with SCALE_OUT=1)
//   MESSAGES=1                   records only /v1/messages: new responses replace those of the same name, all others stay
//   QUOTA=1                      records only quotas, from an LMCache server whose L2 adapter evicts by IsolatedLRU
// Salts are new in each run, so that cold requests are really cold, and are written as stable names. Only L1 is reset, once.

import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'

const ENGINE = process.env.CWM_ENGINE_URL ?? 'http://127.0.0.1:8000'
const LMCACHE = process.env.CWM_LMCACHE_URL ?? 'http://127.0.0.1:8080'
const COORDINATOR = process.env.CWM_COORDINATOR_URL ?? 'http://127.0.0.1:9300'
const OUT = new URL('../../test/recorded/', import.meta.url)

const salts = Object.fromEntries(
  ['saltA', 'saltB', 'saltNever'].map((name) => [name, `${name}-${randomBytes(9).toString('base64url')}`]),
)
const { saltA: A, saltB: B, saltNever: NEVER } = salts
const groups = {}

async function call(method, base, path, body, headers = {}) {
  const answer = await fetch(base + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await answer.text()
  const type = answer.headers.get('content-type')
  return {
    status: answer.status,
    content_type: type,
    body: type?.startsWith('application/json') ? JSON.parse(text) : text,
  }
}

function clean(value) {
  let text = JSON.stringify(value)
  for (const [name, salt] of Object.entries(salts)) text = text.replaceAll(salt, name)
  text = text.replaceAll(process.env.ENGINE_HOME ?? `${homedir()}/.cache/cwm-engine`, 'ENGINE_HOME')
  if (process.env.ENGINE_RUN) text = text.replaceAll(process.env.ENGINE_RUN, 'ENGINE_HOME/run')
  return JSON.parse(text.replaceAll(homedir(), '~'))
}

async function record(group, name, method, base, path, body, headers) {
  const response = await call(method, base, path, body, headers)
  groups[group] ??= []
  groups[group].push(clean({ name, request: { method, path, body: body ?? null }, response }))
  console.log(group, '|', name, '|', response.status)
  return response.body
}

function check(holds, what) {
  if (!holds) throw new Error(`unexpected response, nothing was written: ${what}`)
}

/** Merges responses into those of a file. They replace responses of the same name; new ones follow after the last of these. */
function merged(file, versions, answers) {
  const known = JSON.parse(readFileSync(file, 'utf8'))
  check(JSON.stringify(known.versions) === JSON.stringify(versions), 'the versions are those of the recorded file')
  const names = new Set(answers.map(({ name }) => name))
  const at = known.answers.findIndex(({ name }) => names.has(name))
  const rest = (part) => part.filter(({ name }) => !names.has(name))
  return [...known.answers.slice(0, at), ...answers, ...rest(known.answers.slice(at))]
}

async function write(versions, merge) {
  for (const [group, recorded] of Object.entries(groups)) {
    const answers = merge ? merged(new URL(`${group}.json`, OUT), versions, recorded) : recorded
    const lines = answers.map((answer) => JSON.stringify(answer)).join(',\n')
    writeFileSync(new URL(`${group}.json`, OUT), `{"versions":${JSON.stringify(versions)},"answers":[\n${lines}\n]}\n`)
  }
}

const user = (content) => ({ role: 'user', content })
const short = { model: 'tiny', messages: [user('hi')], max_tokens: 3, temperature: 0 }
const tool = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'The weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}
// With this schema, the model's noise ends within the token limit: the arguments are a number, which is enough for the format.
const terse = {
  name: 'weather',
  description: 'd',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string', maxLength: 4 } },
    required: ['city'],
    additionalProperties: false,
  },
}
// The model produces noise. A grammar makes it produce a tool call that the parser understands.
const called = {
  ...short,
  max_tokens: 80,
  tools: [tool],
  structured_outputs: {
    regex: '<tool_call>\\n\\{"name": "weather", "arguments": \\{"city": "Rome"\\}\\}\\n</tool_call>',
  },
}
const usage = { stream: true, stream_options: { include_usage: true } }
const chat = (name, body) => record('vllm', name, 'POST', ENGINE, '/v1/chat/completions', body)
const completion = (name, body) => record('vllm', name, 'POST', ENGINE, '/v1/completions', { model: 'tiny', ...body })
const messages = (name, body) => record('vllm', name, 'POST', ENGINE, '/v1/messages', { model: 'tiny', ...body })
const responses = (name, body) => record('vllm', name, 'POST', ENGINE, '/v1/responses', { model: 'tiny', ...body })
const tokenize = (name, body) => record('vllm', name, 'POST', ENGINE, '/tokenize', { model: 'tiny', ...body })
const sentence = 'The harbour master wrote down the name of every ship, its cargo and the hour of its tide. '
const long = [{ role: 'system', content: 'You are helpful.' }, user(sentence.repeat(30))]
const cachedTokens = (answer) => answer.usage.prompt_tokens_details.cached_tokens

async function recordMessages() {
  const hi = { max_tokens: 3, messages: [user('hi')], cache_salt: A, temperature: 0 }
  const anthropicTool = {
    name: 'weather',
    description: 'The weather of a city',
    input_schema: tool.function.parameters,
  }
  await messages('anthropic messages', hi)
  await messages('anthropic messages, stream', { ...hi, stream: true })
  const known = { ...hi, system: 'You are helpful.', messages: [long[1]] }
  await call('POST', ENGINE, '/v1/messages', { model: 'tiny', ...known })
  await messages('anthropic messages, long, cached', known)
  await messages('anthropic messages, stream, long, cached', { ...known, stream: true })
  const use = {
    ...hi,
    system: 'be good',
    max_tokens: 60,
    tools: [anthropicTool],
    tool_choice: { type: 'tool', name: 'weather' },
  }
  await messages('anthropic messages, stream, tool used', { ...use, stream: true })
  await messages('anthropic messages, max_tokens over the limit', { ...hi, max_tokens: 20_000 })
  await messages('anthropic messages, unknown model', { ...hi, model: 'nope' })
  await messages('anthropic messages, no messages', { max_tokens: 3 })
  await messages('anthropic messages, salt with a forbidden character', { ...hi, cache_salt: 'a@b' })
  await messages('anthropic messages, empty salt', { ...hi, cache_salt: '' })
  await record('vllm', 'anthropic count_tokens', 'POST', ENGINE, '/v1/messages/count_tokens', {
    model: 'tiny',
    messages: [user('hi')],
  })
  // See docs/engine-behavior.md#billing-header.
  const attributed = (hash) => ({
    ...hi,
    cache_salt: B,
    system: [
      { type: 'text', text: `x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch=${hash};` },
      { type: 'text', text: long[1].content },
    ],
  })
  const read = (answer) => answer.usage.cache_read_input_tokens
  check(
    read(await messages('anthropic messages, billing header, cold', attributed('00000'))) === 0,
    'a new salt is cold',
  )
  const second = await messages('anthropic messages, another billing header: cached', attributed('11111'))
  check(read(second) > 0, 'a billing header is left out of the prompt')
}

async function recordEngine() {
  const g = 'vllm'
  await record(g, 'models', 'GET', ENGINE, '/v1/models')
  await record(g, 'health', 'GET', ENGINE, '/health')
  await record(g, 'version', 'GET', ENGINE, '/version')
  await record(g, 'ping', 'GET', ENGINE, '/ping')
  await record(g, 'load', 'GET', ENGINE, '/load')
  const { tokens: ids, max_model_len: limit } = await tokenize('tokenize messages', { messages: long })
  check(ids.length >= 600, 'the long prompt has 600 tokens')
  await tokenize('tokenize messages without generation prompt', {
    messages: short.messages,
    add_generation_prompt: false,
  })
  await tokenize('tokenize messages with tools', { messages: short.messages, tools: [tool] })
  await tokenize('tokenize with reasoning and tool calls', {
    messages: [
      user([
        { type: 'text', text: 'one' },
        { type: 'text', text: 'two' },
      ]),
      { role: 'assistant', content: 'yes', reasoning: 'because' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city": "Rome"}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
    ],
    return_token_strs: true,
  })
  await tokenize('tokenize prompt', { prompt: 'hello there', return_token_strs: true })
  await tokenize('tokenize, neither prompt nor messages', {})
  await tokenize('tokenize, an image on a text model', {
    messages: [user([{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }])],
  })
  await record(g, 'detokenize', 'POST', ENGINE, '/detokenize', { model: 'tiny', tokens: ids.slice(0, 5) })

  const cold = { ...short, messages: long, cache_salt: A }
  check(cachedTokens(await chat('chat, cold', cold)) === 0, 'a new salt is cold')
  check(cachedTokens(await chat('chat, same salt: cached', cold)) > 0, 'the same salt is warm')
  check(
    cachedTokens(await chat('chat, other salt: nothing cached', { ...cold, cache_salt: B })) === 0,
    'another salt is cold',
  )
  await chat('chat', short)
  await chat('chat, ended by itself', { ...short, max_tokens: 30, structured_outputs: { choice: ['Blue.'] } })
  await chat('chat, n=2', { ...short, n: 2, temperature: 1, seed: 1 })
  await chat('chat, return_token_ids', { ...short, return_token_ids: true })
  await chat('chat, stream with usage', { ...short, ...usage })
  await chat('chat, stream without usage', { ...short, stream: true })
  await chat('chat, stream ended by itself', {
    ...short,
    max_tokens: 30,
    stream: true,
    structured_outputs: { choice: ['Blue.'] },
  })
  await chat('chat, stream, cached', { ...cold, ...usage })
  await chat('chat, stream n=2 with usage', { ...short, ...usage, n: 2, temperature: 1, seed: 1 })
  await chat('chat, stream n=2 without usage', { ...short, stream: true, n: 2, temperature: 1, seed: 1 })
  await chat('chat, stream with return_token_ids', { ...short, stream: true, return_token_ids: true })
  const continuous = { include_usage: true, continuous_usage_stats: true }
  await chat('chat, stream with continuous usage', { ...short, stream: true, stream_options: continuous })
  await chat('chat, "stream": 1 streams', { ...short, stream: 1 })
  await chat('chat, "stream": "true" streams', { ...short, stream: 'true' })
  await chat('chat with tools, none called', { ...short, tools: [tool] })
  await chat('chat, tool called', called)
  await chat('chat, tool called, stream with usage', { ...called, ...usage })
  await chat('chat, tool called, stream without usage', { ...called, stream: true })
  const forced = { ...short, max_tokens: 60, tools: [{ type: 'function', function: terse }] }
  const forcedCall = await chat('chat, tool_choice required', { ...forced, tool_choice: 'required' })
  const one = { type: 'function', function: { name: 'weather' } }
  check(forcedCall.choices[0].message.tool_calls, 'a tool was called')
  await chat('chat, tool_choice names one', { ...forced, tool_choice: one })
  await chat('chat, tool_choice names one, stream without usage', { ...forced, tool_choice: one, stream: true })

  let full = [user(sentence)]
  for (let repeat = 2; ; repeat++) {
    const next = [user(sentence.repeat(repeat))]
    const { body } = await call('POST', ENGINE, '/tokenize', { model: 'tiny', messages: next })
    if (body.count > limit - 8) break
    full = next
  }
  const cut = await chat('chat, answer cut by the limit: 200 and finish_reason length', {
    ...short,
    messages: full,
    max_tokens: 200,
    ignore_eos: true,
    cache_salt: B,
  })
  check(cut.usage.total_tokens === limit && cut.usage.completion_tokens < 200, 'the answer was cut by the limit')
  await chat('chat, prompt over the limit', { ...short, messages: [user(sentence.repeat(400))] })
  await chat('chat, max_tokens over the limit', { ...short, max_tokens: 20_000 })
  await chat('chat, max_completion_tokens over the limit', { ...short, max_completion_tokens: 20_000 })
  await chat('chat, stream over the limit', { ...short, stream: true, max_tokens: 20_000 })
  await chat('chat, max_tokens 0', { ...short, max_tokens: 0 })
  await chat('chat, n=2 at temperature 0', { ...short, n: 2 })
  await chat('chat, stream_options without stream', { ...short, stream_options: { include_usage: true } })
  await chat('chat, salt with a forbidden character', { ...short, cache_salt: 'a@b' })
  await chat('chat, salt of 129 characters', { ...short, cache_salt: 'x'.repeat(129) })
  await chat('chat, empty salt', { ...short, cache_salt: '' })
  await chat('chat, salt that is no text', { ...short, cache_salt: 5 })
  await chat('chat, unknown model', { ...short, model: 'nope' })
  await chat('chat, no messages', { model: 'tiny' })
  await chat('chat, empty messages', { model: 'tiny', messages: [] })
  await chat('chat, a message without role', { model: 'tiny', messages: [{ content: 'x' }] })
  await chat('chat, "stream": 2', { ...short, stream: 2 })
  await chat('chat, bad JSON', '{bad')
  await record(g, 'chat, not JSON by its media type', 'POST', ENGINE, '/v1/chat/completions', JSON.stringify(short), {
    'content-type': 'text/plain',
  })
  await record(g, 'unknown path', 'POST', ENGINE, '/v1/nope', {})
  await record(g, 'wrong method', 'POST', ENGINE, '/v1/models', {})

  await completion('completions', { prompt: 'hello', max_tokens: 2, temperature: 0, cache_salt: A })
  await completion('completions from token ids: the way to warm', {
    prompt: ids,
    max_tokens: 1,
    temperature: 0,
    cache_salt: A,
  })
  await completion('completions, several prompts', { prompt: ['hello', 'bye'], max_tokens: 2, temperature: 0 })
  await completion('completions, stream with usage', { prompt: 'hello', max_tokens: 3, temperature: 0, ...usage })
  await completion('completions, stream without usage', {
    prompt: 'hello',
    max_tokens: 3,
    temperature: 0,
    stream: true,
  })
  await completion('completions, stream n=2 with usage', {
    prompt: 'hello',
    max_tokens: 3,
    temperature: 1,
    seed: 1,
    n: 2,
    ...usage,
  })
  await completion('completions, no prompt', { max_tokens: 2 })
  await completion('completions, empty prompt', { prompt: [], max_tokens: 2 })
  await completion('completions, an id outside the vocabulary', { prompt: [1, 300_000], max_tokens: 2 })
  await completion('completions, max_tokens over the limit', { prompt: 'x', max_tokens: 20_000 })

  await recordMessages()

  const ask = { max_output_tokens: 3, cache_salt: A, input: 'hi', temperature: 0 }
  const responsesTool = { type: 'function', ...terse }
  const first = await responses('responses', ask)
  await record(g, 'responses, stored one read', 'GET', ENGINE, `/v1/responses/${first.id}`)
  await record(g, 'responses, stored one cancelled', 'POST', ENGINE, `/v1/responses/${first.id}/cancel`, {})
  await record(g, 'responses, unknown id read', 'GET', ENGINE, '/v1/responses/resp_nope')
  await responses('responses, after a stored one', { ...ask, input: 'and', previous_response_id: first.id })
  await responses('responses, after an unknown one', { ...ask, previous_response_id: 'resp_nope' })
  await responses('responses, stream', { ...ask, stream: true })
  const demanded = { ...ask, max_output_tokens: 60, tools: [responsesTool], tool_choice: 'required' }
  await responses('responses, tool called', demanded)
  await responses('responses, stream, tool called', { ...demanded, stream: true })
  await responses('responses, salt with a forbidden character', { ...ask, cache_salt: 'a@b' })
  await responses('responses, max_output_tokens over the limit', { ...ask, max_output_tokens: 20_000 })
  await responses('responses, no input', {})
  for (const path of ['chat/completions', 'completions', 'messages', 'responses']) {
    await record(g, `render ${path}, disabled`, 'POST', ENGINE, `/v1/${path}/render`, {
      ...short,
      prompt: 'hi',
      input: 'hi',
    })
  }

  const metrics = await call('GET', ENGINE, '/metrics')
  const wanted =
    /^vllm:\w*(prefix_cache|num_requests|kv_cache_usage|prompt_tokens_total|generation_tokens_total|cache_config)/
  const lines = metrics.body.split('\n').filter((line) => wanted.test(line))
  groups[g].push(
    clean({
      name: 'metrics (the lines that matter)',
      request: { method: 'GET', path: '/metrics', body: null },
      response: { ...metrics, body: lines },
    }),
  )
  return ids
}

async function pollPrefetch(base, path) {
  for (let tries = 0; tries < 500; tries++) {
    const answer = await call('GET', base, path)
    if (answer.body.status !== 'pending') return answer
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`prefetch still pending: ${path}`)
}

/** Waits for the directory, because events are flushed about once a second. */
async function placed(key, wanted) {
  for (let tries = 0; tries < 100; tries++) {
    const { body } = await call('POST', COORDINATOR, '/directory/lookup', key)
    if (body.results.every((result) => wanted(result.placements))) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('the directory did not show the expected content in time')
}

async function recordCoordinator(ids) {
  const g = 'lmcache-coordinator'
  const { body: status } = await call('GET', LMCACHE, '/status')
  const [engine] = Object.values({ ...status.cache_context_meta, ...status.non_cuda_context_meta })
  const { body: fleet } = await call('GET', COORDINATOR, '/instances')
  const instance = fleet.instances[0].instance_id
  const key = { token_ids: ids, model_name: engine.model_name, world_size: engine.world_size, cache_salt: A }
  const never = { ...key, cache_salt: NEVER }
  const tiny = { ...key, token_ids: ids.slice(0, 100) }
  const at = (name, method, path, body) => record(g, name, method, COORDINATOR, path, body)
  await placed(key, (placements) => placements.length >= 2)

  await at('healthz', 'GET', '/healthz')
  await at('instances', 'GET', '/instances')
  await at('instances usage', 'GET', '/instances/usage')
  const stored = await at('directory lookup, stored', 'POST', '/directory/lookup', key)
  const keys = stored.results.map((result) => result.key)
  await at('directory lookup, by keys', 'POST', '/directory/lookup', { keys: keys.slice(0, 1) })
  const wrong = await at(
    "directory lookup, served name instead of the engine's own: no placements",
    'POST',
    '/directory/lookup',
    { ...key, model_name: 'tiny' },
  )
  check(
    wrong.results.every((result) => result.placements.length === 0),
    'the served name has no placements',
  )
  await at('directory lookup, other salt', 'POST', '/directory/lookup', never)
  await at('directory lookup, shorter than a chunk', 'POST', '/directory/lookup', tiny)
  await at('directory lookup, empty body', 'POST', '/directory/lookup', {})
  await at('directory stats', 'GET', '/directory/stats')
  await at('directory keys', 'GET', '/directory/keys?limit=2')
  await at('directory keys, bad tier', 'GET', '/directory/keys?tier=zz')
  await at('pin', 'POST', '/cache/pins', key)
  await at('pin again', 'POST', '/cache/pins', key)
  await at('pins: counted', 'GET', `/cache/pins?cache_salt=${A}&limit=2`)
  await at('pins: second page', 'GET', `/cache/pins?cache_salt=${A}&limit=2&offset=2`)
  await at('pins: limit 0', 'GET', '/cache/pins?limit=0')
  await at('pin, nothing stored', 'POST', '/cache/pins', never)
  await at('unpin, nothing stored', 'DELETE', '/cache/pins', never)
  await at('pin, shorter than a chunk', 'POST', '/cache/pins', tiny)
  await at('pin, forbidden salt', 'POST', '/cache/pins', { ...key, cache_salt: 'a@b' })
  await at('delete a pinned sequence', 'POST', '/cache/delete', { ...key, instance_id: instance, tier: 'all' })
  await at('unpin', 'DELETE', '/cache/pins', key)
  await at('unpin once more', 'DELETE', '/cache/pins', key)
  await at('unpin when nothing is pinned', 'DELETE', '/cache/pins', key)
  await at('pins: none', 'GET', `/cache/pins?cache_salt=${A}`)
  await call('POST', LMCACHE, '/cache/clear', { tier: 'l1' })
  const job = await at('prefetch', 'POST', '/cache/prefetches', { ...key, instance_id: instance })
  const poll = `/cache/prefetches/${instance}/${job.request_id}`
  const done = await pollPrefetch(COORDINATOR, poll)
  groups[g].push(
    clean({ name: 'prefetch poll, done', request: { method: 'GET', path: poll, body: null }, response: done }),
  )
  await at('prefetch poll after completed was read', 'GET', poll)
  const nothing = await at('prefetch, nothing stored (found_keys will be 0)', 'POST', '/cache/prefetches', {
    ...never,
    instance_id: instance,
  })
  const missed = `/cache/prefetches/${instance}/${nothing.request_id}`
  const none = await pollPrefetch(COORDINATOR, missed)
  groups[g].push(
    clean({
      name: 'prefetch poll, nothing found',
      request: { method: 'GET', path: missed, body: null },
      response: none,
    }),
  )
  await at('prefetch, shorter than a chunk', 'POST', '/cache/prefetches', { ...tiny, instance_id: instance })
  await at('prefetch, unknown instance', 'POST', '/cache/prefetches', { ...key, instance_id: 'node-z' })
  await at('prefetch, unknown model', 'POST', '/cache/prefetches', {
    ...key,
    instance_id: instance,
    model_name: 'nope',
  })
  await at('delete', 'POST', '/cache/delete', { ...key, instance_id: instance, tier: 'all' })
  await at('delete, body without instance_id', 'POST', '/cache/delete', { ...tiny, tier: 'all' })
  await at('delete, shorter than a chunk', 'POST', '/cache/delete', { ...tiny, instance_id: instance })
  await at('quota set', 'PUT', `/quota/${A}`, { limit_gb: 1 })
  await at('quota get', 'GET', `/quota/${A}`)
  await at('quota delete', 'DELETE', `/quota/${A}`)
  await at('quota delete again', 'DELETE', `/quota/${A}`)
  await at('quota config', 'GET', '/quota/config')
  return { key, keys, never }
}

async function recordLmcache({ key, keys, never }) {
  const g = 'lmcache-server'
  const at = (name, method, path, body) => record(g, name, method, LMCACHE, path, body)
  await at('healthcheck', 'GET', '/healthcheck')
  await at('version', 'GET', '/version')
  await at('status', 'GET', '/status')
  await at('config', 'GET', '/config')
  const { adapters } = await at('adapters', 'GET', '/config/adapters')
  const left = await at("prefetch (202), after the coordinator's delete", 'POST', '/cache/prefetches', key)
  const poll = `/cache/prefetches/${left.request_id}`
  const found = await pollPrefetch(LMCACHE, poll)
  groups[g].push(
    clean({
      name: 'prefetch poll: what the delete left in the second adapter',
      request: { method: 'GET', path: poll, body: null },
      response: found,
    }),
  )
  await at('prefetch poll after completed was read', 'GET', poll)
  await at('prefetch, nothing stored', 'POST', '/cache/prefetches', never)
  await at('prefetch, shorter than a chunk', 'POST', '/cache/prefetches', {
    ...key,
    token_ids: key.token_ids.slice(0, 100),
  })
  await at('prefetch, unknown model', 'POST', '/cache/prefetches', { ...key, model_name: 'nope' })
  await at('prefetch, empty body', 'POST', '/cache/prefetches', {})
  await at('objects', 'GET', '/cache/objects?limit=2')
  for (const { type_name: adapter } of adapters) {
    await at(`objects deleted from adapter ${adapter}`, 'DELETE', '/cache/objects', { keys, tier: 'l2', adapter })
  }
  await at('objects deleted from l1', 'DELETE', '/cache/objects', { keys, tier: 'l1' })
  await at('objects deleted from l1 again', 'DELETE', '/cache/objects', { keys, tier: 'l1' })
  await placed(key, (placements) => placements.length === 0)
  await record(
    'lmcache-coordinator',
    'directory lookup, after deletion from every adapter and l1',
    'POST',
    COORDINATOR,
    '/directory/lookup',
    key,
  )
  await at('objects delete, unknown adapter', 'DELETE', '/cache/objects', { keys, tier: 'l2', adapter: 'nope' })
  await at('objects delete, bad body', 'DELETE', '/cache/objects', {})
  await at('clear L1', 'POST', '/cache/clear', { tier: 'l1' })
  await at('clear L2', 'POST', '/cache/clear', { tier: 'l2' })
  await at('clear, bad tier', 'POST', '/cache/clear', { tier: 'zz' })
}

async function recordRender() {
  const g = 'vllm-render'
  const at = (name, path, body) => record(g, name, 'POST', ENGINE, `/v1/${path}/render`, { model: 'tiny', ...body })
  const spoken = [
    { role: 'system', content: 'be good' },
    user('hi'),
    { role: 'assistant', content: 'yes', reasoning: 'because' },
    user('and?'),
  ]
  const first = await at('render chat', 'chat/completions', {
    messages: spoken,
    max_tokens: 3,
    temperature: 0,
    cache_salt: A,
  })
  check(Array.isArray(first.token_ids), 'render answers token_ids (SCALE_OUT=1)')
  await record(g, 'tokenize of the same chat', 'POST', ENGINE, '/tokenize', { model: 'tiny', messages: spoken })
  await at('render chat with tools', 'chat/completions', { messages: spoken, tools: [tool] })
  await at('render chat, documents', 'chat/completions', { messages: spoken, documents: [{ title: 't', text: 'x' }] })
  await at('render completions', 'completions', { prompt: 'hello', max_tokens: 2 })
  await at('render completions, ids', 'completions', { prompt: [1, 2, 3], max_tokens: 2 })
  await at('render messages', 'messages', { max_tokens: 3, system: 'be good', messages: [user('hi')], cache_salt: A })
  await at('render responses', 'responses', { input: 'hi', instructions: 'be good', cache_salt: A })
  await at('render chat, unknown model', 'chat/completions', { messages: spoken, model: 'nope' })
  await at('render chat, no messages', 'chat/completions', {})
  await at('render chat, prompt over the limit', 'chat/completions', { messages: [user(sentence.repeat(400))] })
  await at('render chat, max_tokens over the limit', 'chat/completions', { messages: spoken, max_tokens: 20_000 })
  await at('render chat, forbidden salt', 'chat/completions', { messages: spoken, cache_salt: 'a@b' })
}

async function recordQuotas() {
  const g = 'lmcache-quota'
  const at = (name, method, path, body) => record(g, name, method, LMCACHE, path, body)
  const status = await at('status, IsolatedLRU', 'GET', '/status')
  const policies = status.storage_manager.l2_eviction_controller.adapters.map((adapter) => adapter.eviction_policy)
  check(policies.includes('IsolatedLRU'), 'an L2 adapter evicts by IsolatedLRU')
  await at('quota set', 'PUT', `/quota/${A}`, { limit_gb: 0.5 })
  await at('quota get', 'GET', `/quota/${A}`)
  await at('quota of the empty salt set', 'PUT', '/quota/_default', { limit_gb: 1 })
  await at('quotas', 'GET', '/quota')
  await at('quota of the empty salt deleted', 'DELETE', '/quota/_default')
  await at('quota delete', 'DELETE', `/quota/${A}`)
  await at('quota delete again', 'DELETE', `/quota/${A}`)
  await at('quota get, none', 'GET', `/quota/${A}`)
  await at('quota set, empty body', 'PUT', `/quota/${A}`, {})
  await at('quota set, not a number', 'PUT', `/quota/${A}`, { limit_gb: 'x' })
  await at('quota set, negative', 'PUT', `/quota/${A}`, { limit_gb: -1 })
  await at('quota set, bad JSON', 'PUT', `/quota/${A}`, '{')
}

const versions = {
  vllm: (await call('GET', ENGINE, '/version')).body.version,
  lmcache: String((await call('GET', LMCACHE, '/version')).body).replace(/-g.*/, ''),
}
if (process.env.RENDER === '1') {
  await recordRender()
} else if (process.env.MESSAGES === '1') {
  await recordMessages()
} else if (process.env.QUOTA === '1') {
  await recordQuotas()
} else {
  const ids = await recordEngine()
  await recordLmcache(await recordCoordinator(ids))
}
await write(versions, process.env.MESSAGES === '1')
