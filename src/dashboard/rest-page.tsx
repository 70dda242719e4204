// REST documentation as a page: each operation with its parameters, body, and responses, generated from the OpenAPI document of this cwm.

import { Document } from './document.tsx'
import type { RestField, RestModel, RestOperation, RestParameter } from './rest-model.ts'

const anchorOf = ({ method, path }: RestOperation) =>
  `${method}-${path}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/-$/, '')

export function RestPage({ assets, model }: { readonly assets: string; readonly model: RestModel }) {
  const names = new Set(model.shapes.map(({ name }) => name))
  return (
    <Document title="cwm: REST" assets={assets} styles={['reading.css']}>
      <main class="reading">
        <h1>
          REST <span class="quiet version">cwm {model.version}</span>
        </h1>
        <p>
          Send your API key as on the forwarded paths: <code>authorization: Bearer KEY</code>. A key has access to its
          own tenant only. The same API as a file: <a href="/cwm/openapi.json">openapi.json</a>.
        </p>
        <nav aria-label="Operations">
          <ul class="plain">
            {model.operations.map((one) => (
              <li>
                <a href={`#${anchorOf(one)}`}>
                  <code>
                    {one.method} {one.path}
                  </code>
                </a>{' '}
                <span class="quiet">{one.summary}</span>
              </li>
            ))}
          </ul>
        </nav>
        {model.operations.map((one) => (
          <Operation operation={one} names={names} />
        ))}
        <h2>Schemas</h2>
        {model.shapes.map(({ name, fields }) => (
          <section aria-labelledby={`shape-${name}`}>
            <h3 id={`shape-${name}`}>{name}</h3>
            <Fields fields={fields} names={names} />
          </section>
        ))}
      </main>
    </Document>
  )
}

function Operation({ operation, names }: { readonly operation: RestOperation; readonly names: ReadonlySet<string> }) {
  const { method, path, summary, description, parameters, body, answers } = operation
  const id = anchorOf(operation)
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>
        <code>
          {method} {path}
        </code>
      </h2>
      <p>{summary}.</p>
      {description === '' ? null : (
        <p class="quiet">
          <Words text={description} />
        </p>
      )}
      {parameters.length === 0 ? null : (
        <>
          <h3>Parameters</h3>
          <Fields fields={parameters} names={names} />
        </>
      )}
      {body.length === 0 ? null : (
        <>
          <h3>Body</h3>
          <Fields fields={body} names={names} />
        </>
      )}
      <h3>Responses</h3>
      <table>
        <tbody>
          {answers.map(({ status, type, description: words }) => (
            <tr>
              <th scope="row">{status}</th>
              <td>
                <Type type={type} names={names} />
              </td>
              <td>
                <Words text={words} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function Fields({
  fields,
  names,
}: {
  readonly fields: readonly (RestField | RestParameter)[]
  readonly names: ReadonlySet<string>
}) {
  return (
    <table>
      <tbody>
        {fields.map((field) => (
          <tr>
            <th scope="row">
              <code>{field.name}</code>
              {'in' in field ? <small class="quiet parent">{field.in}</small> : null}
              {field.required ? <small class="quiet parent">required</small> : null}
            </th>
            <td>
              <Type type={field.type} names={names} />
            </td>
            <td>
              <Words text={field.description} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** Links names of schemas. */
function Type({ type, names }: { readonly type: string; readonly names: ReadonlySet<string> }) {
  const pieces = type.split(/\b([A-Z][A-Za-z]+)\b/)
  return <code>{pieces.map((piece) => (names.has(piece) ? <a href={`#shape-${piece}`}>{piece}</a> : piece))}</code>
}

/** Renders text in backticks as code. */
function Words({ text }: { readonly text: string }) {
  return <>{text.split('`').map((piece, i) => (i % 2 === 1 ? <code>{piece}</code> : piece))}</>
}
