// The engine, asked directly: its model, and the ids of a conversation.

/** `url`: of the engine, without a path. */
export async function openEngine(url) {
  const { data } = await jsonOf(await fetch(`${url}/v1/models`))
  const model = data[0].id
  return {
    url,
    model,
    /** The ids of the prompt for these messages. */
    async idsOf(messages) {
      const body = JSON.stringify({ model, messages })
      const headers = { 'content-type': 'application/json' }
      return (await jsonOf(await fetch(`${url}/tokenize`, { method: 'POST', headers, body }))).tokens
    },
  }
}

async function jsonOf(answer) {
  const text = await answer.text()
  if (!answer.ok) throw new Error(`the engine answered ${answer.status}: ${text.slice(0, 300)}`)
  return JSON.parse(text)
}
