// Fills a store through an older cwm: windows, sessions, a chat, a library, an unfinished delete, tenant overrides.

export const MODEL = 'sim-model'
const TURNS = 12

/** `count` words after `mark`. */
const words = (mark, count) => `${mark} ${Array.from({ length: count }, (_, n) => `word${(n * n + n) % 97}`).join(' ')}`
const user = (content) => ({ role: 'user', content })

/** `sim` is the simulator behind it. At the end its LMCache is stopped, and stays so. */
export async function fill({ url, key, sim }) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }

  async function rest(method, path, body) {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await fetch(`${url}/cwm/v1${path}`, { method, headers, ...sent })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return await answer.json()
  }

  async function chat(messages, more = {}) {
    const body = JSON.stringify({ model: MODEL, messages, max_tokens: 40, temperature: 0 })
    const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers: { ...headers, ...more }, body })
    if (!answer.ok) throw new Error(`chat: ${answer.status} ${await answer.text()}`)
    const { choices } = await answer.json()
    const reply = { role: 'assistant', content: choices[0].message.content }
    return { session: answer.headers.get('x-cwm-session'), history: [...messages, reply] }
  }

  async function frozen(name) {
    const window = await rest('GET', `/windows/${name}?wait_ms=20000`)
    if (window.state !== 'frozen') throw new Error(`window ${name}: ${JSON.stringify(window)}`)
    const { messages } = await rest('GET', `/windows/${name}/export`)
    return { name, tokens: window.receipt.tokens, durability: window.receipt.durability, messages }
  }

  const choices = await rest('PUT', '/tenants/me/near-limit', { freeze_at: 0.6, overflow: 'reject' })

  const named = await chat([user(`${words('The log of the harbor.', 600)}. The buoy is called Lomvi.`)], {
    'x-cwm-session': 'named',
  })
  await rest('POST', '/windows', { name: 'from-chat', session_id: 'named', tags: ['law'], note: 'clause by clause' })
  await rest('PUT', '/windows/from-content', {
    model: MODEL,
    document: `${words('The book.', 600)}. The ship is called Alke.`,
  })

  let unnamed = { session: undefined, history: [] }
  for (let turn = 0; turn < TURNS; turn++)
    unnamed = await chat([...unnamed.history, user(words(`Question ${turn}.`, 15))])

  const text = `# One\n\n${words('Of harbors.', 300)}\n\n# Two\n\n${words('Of ships.', 300)}\n`
  await rest('PUT', '/libraries/law', { model: MODEL, tokens_per_window: 512, texts: [{ text, format: 'markdown' }] })
  const library = await rest('GET', '/libraries/law?wait_ms=20000')
  if (library.state !== 'ready') throw new Error(`the library: ${JSON.stringify(library)}`)

  await chat([user(words('What is to go.', 600))], { 'x-cwm-session': 'to-go' })
  await rest('POST', '/windows', { name: 'to-go', session_id: 'to-go' })
  const windows = [await frozen('from-chat'), await frozen('from-content')]
  await frozen('to-go')
  await rest('DELETE', '/sessions/to-go')
  await sim.setOnline('coordinator', false)
  await sim.setOnline('lmcache', false)
  const deletion = await rest('DELETE', '/windows/to-go')
  if (deletion.state !== 'open') throw new Error(`the delete is ${deletion.state}`)

  return {
    choices: { freeze_at: choices.freeze_at, overflow: choices.overflow },
    windows,
    named,
    unnamed,
    library: { name: library.name, windows: library.windows, tokens: library.tokens },
    deletion: { id: deletion.id, name: deletion.name, state: deletion.state },
  }
}
