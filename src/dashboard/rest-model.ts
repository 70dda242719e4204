// Converts the OpenAPI document to a list of operations and a list of schemas, from which the REST page and docs/rest.md are generated.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'

export interface RestField {
  readonly name: string
  readonly type: string
  readonly required: boolean
  readonly description: string
}

export interface RestParameter extends RestField {
  readonly in: string
}

export interface RestAnswer {
  readonly status: string
  readonly type: string
  readonly description: string
}

export interface RestOperation {
  readonly method: string
  readonly path: string
  readonly summary: string
  readonly description: string
  readonly parameters: readonly RestParameter[]
  readonly body: readonly RestField[]
  readonly answers: readonly RestAnswer[]
}

export interface RestModel {
  readonly version: string
  readonly operations: readonly RestOperation[]
  readonly shapes: readonly { readonly name: string; readonly fields: readonly RestField[] }[]
}

const methods = ['get', 'post', 'put', 'patch', 'delete']

/** Converts the document of `/cwm/openapi.json`. */
export function restModel(document: JsonObject): RestModel {
  const operations = entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const found = object(object(item)[method])
      return Object.keys(found).length === 0 ? [] : [operation(method, path, found)]
    }),
  )
  const shapes = entries(object(document.components).schemas).map(([name, schema]) => ({
    name,
    fields: fieldsOf(object(schema)),
  }))
  return {
    version: text(object(document.info).version),
    operations,
    shapes: shapes.filter(({ fields }) => fields.length > 0),
  }
}

function operation(method: string, path: string, found: JsonObject): RestOperation {
  return {
    method: method.toUpperCase(),
    path,
    summary: text(found.summary),
    description: text(found.description),
    parameters: list(found.parameters).map((one) => ({
      name: text(one.name),
      in: text(one.in),
      type: typeOf(object(one.schema)),
      required: one.required === true,
      description: text(one.description) || text(object(one.schema).description),
    })),
    body: fieldsOf(jsonOf(found.requestBody)),
    answers: entries(found.responses).map(([status, answer]) => ({
      status,
      type: typeOf(jsonOf(answer)),
      description: text(object(answer).description),
    })),
  }
}

function jsonOf(holder: JsonValue | undefined): JsonObject {
  const content = object(object(holder).content)
  return object(object(Object.values(content)[0]).schema)
}

function fieldsOf(schema: JsonObject): RestField[] {
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  return entries(schema.properties).map(([name, value]) => {
    const field = object(value)
    return { name, type: typeOf(field), required: required.has(name), description: text(field.description) }
  })
}

/** A type in one line: `string`, `integer or null`, `"a", "b"`, `list of Window`. */
function typeOf(schema: JsonObject): string {
  if (typeof schema.$ref === 'string') return schema.$ref.split('/').at(-1) ?? ''
  const variants = [schema.anyOf, schema.oneOf, schema.allOf].flatMap((one) => list(one))
  if (variants.length > 0) return [...new Set(variants.map(typeOf).filter((type) => type !== ''))].join(' or ')
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(', ')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  const types = Array.isArray(schema.type) ? schema.type : [schema.type]
  return types
    .map((type) => {
      if (type === 'array') return `list of ${typeOf(object(schema.items)) || 'anything'}`
      if (type === 'object') return objectType(schema)
      return typeof type === 'string' ? type : ''
    })
    .filter((type) => type !== '')
    .join(' or ')
}

function objectType(schema: JsonObject): string {
  const fields = entries(schema.properties).map(([name, value]) => {
    const type = typeOf(object(value))
    return type === '' ? name : `${name}: ${type}`
  })
  return fields.length === 0 ? 'object' : `{ ${fields.join(', ')} }`
}

const object = (value: JsonValue | undefined): JsonObject => (isObject(value) ? value : {})
const entries = (value: JsonValue | undefined): [string, JsonValue | undefined][] => Object.entries(object(value))
const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')

function list(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]).filter(isObject) : []
}
