// A collector for tests and for the picture of docs/tracing.md: receives traces as OTLP over HTTP in JSON, and keeps their spans.

import { once } from 'node:events'
import { createServer } from 'node:http'

/** Starts it. `status`: what it answers. */
export async function startOtlpReceiver({ status = 200 } = {}) {
  const spans = []
  const requests = []
  const server = createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString('utf8')
    requests.push({ path: request.url, headers: request.headers, text })
    if (status === 200) spans.push(...spansOf(JSON.parse(text)))
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    spans,
    requests,
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close').catch(() => {})
    },
  }
}

function spansOf({ resourceSpans }) {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map((span) => spanOf(span, attributesOf(resource.attributes)))),
  )
}

function spanOf(span, resource) {
  const { traceId, spanId, parentSpanId, name, kind, startTimeUnixNano, endTimeUnixNano, attributes, status } = span
  const startMs = Number(BigInt(startTimeUnixNano) / 1000n) / 1000
  const endMs = Number(BigInt(endTimeUnixNano) / 1000n) / 1000
  const failed = status?.code === 2
  return {
    traceId,
    spanId,
    parentSpanId,
    name,
    kind,
    startMs,
    endMs,
    attributes: attributesOf(attributes),
    failed,
    resource,
  }
}

function attributesOf(list) {
  return Object.fromEntries(list.map(({ key, value }) => [key, scalarOf(value)]))
}

/** OTLP's JSON writes 64-bit integers as numbers or as text. */
function scalarOf({ stringValue, boolValue, intValue, doubleValue }) {
  return stringValue ?? boolValue ?? doubleValue ?? Number(intValue)
}
