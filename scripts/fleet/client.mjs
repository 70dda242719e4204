// One chat request to a cwm, whole or streamed, and what a client sees of its answer.

import { Agent, request as httpRequest } from 'node:http'

const REQUEST_MS = 60_000

export class Client {
  #agent = new Agent({ keepAlive: true })

  /**
   * Resolves with `{ ok: true, session, degraded, reply, cached, prompt }`, or `{ ok: false, failure }`, where `failure` is the kind: `refused`,
   * `broken`, or status and code. Never rejects.
   */
  chat(port, { body, key, session }) {
    const bytes = Buffer.from(JSON.stringify(body))
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': bytes.length,
    }
    if (session !== undefined) headers['x-cwm-session'] = session
    const path = '/v1/chat/completions'
    const options = { host: '127.0.0.1', port, method: 'POST', path, headers, agent: this.#agent, timeout: REQUEST_MS }
    return new Promise((resolve) => {
      const request = httpRequest(options, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part) => (text += part))
        response.once('error', () => {})
        response.once('close', () => resolve(answerOf(response, text, body.stream === true)))
      })
      request.on('timeout', () => request.destroy(Object.assign(new Error('no answer'), { code: 'timeout' })))
      request.once('error', (error) => resolve({ ok: false, failure: kindOf(error.code) }))
      request.end(bytes)
    })
  }

  close() {
    this.#agent.destroy()
  }
}

const kindOf = (code) => (code === 'ECONNREFUSED' ? 'refused' : code === 'timeout' ? 'no answer' : 'broken')

function answerOf(response, text, isStream) {
  if (!response.complete) return { ok: false, failure: 'broken' }
  if (response.statusCode !== 200) return { ok: false, failure: `${response.statusCode} ${codeOf(text)}` }
  const { headers } = response
  const told = { session: headers['x-cwm-session'], degraded: headers['x-cwm-degraded'] !== undefined }
  const { reply, usage } = isStream ? fromEvents(text) : fromWhole(JSON.parse(text))
  return {
    ok: true,
    ...told,
    reply,
    prompt: usage.prompt_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
  }
}

function codeOf(text) {
  try {
    return JSON.parse(text).error.code
  } catch {
    return text.slice(0, 80)
  }
}

const fromWhole = ({ choices, usage }) => ({ reply: choices[0].message.content, usage })

function fromEvents(text) {
  const chunks = [...text.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => JSON.parse(json))
  const reply = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
  return { reply, usage: chunks.at(-1).usage }
}
