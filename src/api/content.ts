// Reads the body of `PUT /cwm/v1/windows/NAME` as a prompt: the same fields as in a chat request of the dialect, and no others.

import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import { requireModel, type TenantPolicy } from '../base/tenants.ts'
import { checkParts } from '../dialects/forbidden-parts.ts'
import { type MessageRules, messageRulesOf } from '../dialects/index.ts'
import { checkContent } from '../windows/create-window.ts'

const own = ['model', 'dialect', 'document', 'document_role', 'cache_salt']

/**
 * Throws `INVALID_FIELD` for a field that does not shape the prompt, `FORBIDDEN_FIELD` for content that chats may not contain either, and `FORBIDDEN_MODEL`.
 */
export function readContent(
  body: JsonObject,
  policy: TenantPolicy,
): { prompt: Prompt; clientSalt: string | undefined } {
  const dialect = String(body.dialect ?? 'chat')
  const rules = messageRulesOf(dialect)
  const known = new Set([...own, rules.messagesField, ...rules.shapingFields])
  const unknown = Object.keys(body).find((name) => !known.has(name))
  if (unknown !== undefined) {
    throw new CwmError(
      'INVALID_FIELD',
      `\`${unknown}\` is not a field that shapes a prompt in the dialect ${dialect}`,
      {
        param: unknown,
      },
    )
  }
  const model = String(body.model ?? '')
  requireModel(policy, model)
  const messages = readMessages(body, rules)
  checkParts(messages, policy.allowedFields)
  const shaping: Record<string, JsonValue> = {}
  for (const name of rules.shapingFields) {
    const value = body[name]
    if (value !== undefined && value !== null) shaping[name] = value
  }
  const prompt: Prompt = { dialect, model, messages, shaping }
  checkContent(prompt)
  const salt = body.cache_salt
  return { prompt, clientSalt: typeof salt === 'string' && salt !== '' ? salt : undefined }
}

function readMessages(body: JsonObject, rules: MessageRules): readonly JsonValue[] {
  const { document, document_role: role } = body
  const field = rules.messagesField
  if (document === undefined) return body[field] === undefined ? [] : rules.readMessages(body)
  if (body[field] !== undefined) {
    throw new CwmError('INVALID_FIELD', `give \`document\` or \`${field}\`, not both`, { param: 'document' })
  }
  return [rules.textMessage(role === 'user' ? 'user' : 'system', String(document))]
}
