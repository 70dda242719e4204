// One window after another, on the simulated engine and LMCache: a session is frozen by header, thawed into another session, and everything
// is deleted again. Each step is verified.

import { MODEL, promptText } from './answers.mjs'
import { exchange } from './exchange.mjs'
import { KEY } from './turns.mjs'

/** At least three chunks of LMCache. */
const PROMPT_BYTES = 6_000

export class WindowRound {
  #url
  #agent

  constructor({ url, agent }) {
    this.#url = url
    this.#agent = agent
  }

  /** Throws an error that names the step that failed. */
  async run(id) {
    const window = `/cwm/v1/windows/${id}`
    const asked = [{ role: 'user', content: promptText(id, PROMPT_BYTES) }]
    const frozen = await this.#chat(asked, { 'x-cwm-session': id, 'x-cwm-freeze': id })
    require(frozen.status === 200, 'first turn', frozen)
    const shown = await this.#ask('GET', `${window}?wait_ms=10000`)
    require(shown.json?.state === 'frozen' && shown.json.receipt.durability === 'l2', 'freeze', shown)
    const thawed = await this.#chat([{ role: 'user', content: 'And now?' }], {
      'x-cwm-session': `${id}-thawed`,
      'x-cwm-window': id,
    })
    require(Number(thawed.headers['x-cwm-restored']) > 0, 'thaw', thawed)
    for (const session of [id, `${id}-thawed`]) {
      const ended = await this.#ask('DELETE', `/cwm/v1/sessions/${session}`)
      require(ended.status < 300, 'end of a session', ended)
    }
    const deleted = await this.#ask('DELETE', window)
    require(deleted.status < 300, 'delete', deleted)
  }

  #chat(messages, headers) {
    const body = JSON.stringify({ model: MODEL, messages, max_tokens: 16 })
    return this.#send('POST', '/v1/chat/completions', headers, body)
  }

  #ask(method, path) {
    return this.#send(method, path, {}, '')
  }

  async #send(method, path, headers, body) {
    const request = { agent: this.#agent, method, body }
    const answer = await exchange(this.#url + path, {
      ...request,
      headers: { authorization: KEY, 'content-type': 'application/json', ...headers },
    })
    return { ...answer, json: jsonOf(answer.bytes) }
  }
}

function jsonOf(bytes) {
  try {
    return JSON.parse(bytes)
  } catch {
    return undefined
  }
}

function require(holds, step, { status, bytes }) {
  if (!holds) throw new Error(`${step}: status ${status}: ${bytes.subarray(0, 300).toString()}`)
}
