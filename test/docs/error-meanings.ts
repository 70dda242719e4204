// One line per error code: what it means, and what to do. The text of docs/errors.md.

import type { ErrorCode } from '../../src/base/errors.ts'

export const meaningOf: Readonly<Record<ErrorCode, string>> = {
  INVALID_JSON: 'The body is not a JSON object. The message names the position.',
  INVALID_UTF8: 'The body is not valid UTF-8.',
  INVALID_FIELD: 'A field has an invalid value; `param` names it.',
  FORBIDDEN_FIELD: 'The field bypasses the gateway. Remove it, or ask the operator to add it to `allowed_fields`.',
  FORBIDDEN_HEADER: 'The header bypasses the gateway. Remove it, or ask the operator to add it to `allowed_fields`.',
  INVALID_HEADER: 'An `x-cwm-*` header is invalid, unknown, or repeated; or the request has two different keys.',
  INVALID_PATH: 'The path is written in an ambiguous form (escapes, dots, doubled slashes). Use its plain form.',
  BODY_TOO_DEEP: 'The body is nested deeper than 512 levels.',
  BODY_TOO_COMPLEX:
    'The body has too many values (`max_body_values`), members in one object (`max_object_members`), or messages (`max_messages`).',
  CONTEXT_LENGTH_EXCEEDED:
    'The turn exceeds the context limit, and the policy is `reject`, or nothing of it can be cut. Send less, request fewer tokens, or use `x-cwm-overflow: rollover`.',
  BODY_TOO_LARGE:
    'The body exceeds `max_body_bytes`, or decompresses to more than `max_unpacked_ratio` times its size.',
  UNSUPPORTED_ENCODING: 'Send the body uncompressed, or as gzip, deflate, or br.',
  UNSUPPORTED_MEDIA_TYPE: 'Send the body as `application/json`.',
  BODY_TIMEOUT:
    'The request was not complete within `body_timeout_ms`, its headers not within `request_headers_timeout_ms`, or its body arrived more slowly than `min_body_bytes_per_second`.',
  HEADERS_TOO_LARGE: 'The headers exceed `max_header_bytes`, or have more than `max_headers` lines.',
  INVALID_HTTP: 'The request is not valid HTTP. The connection is closed.',
  NOT_SUPPORTED: 'cwm does not support this. The message names an alternative.',
  MISDIRECTED_REQUEST: 'The request target has a scheme other than `http`. Send only the path.',
  OPERATOR_MAY_NOT_READ:
    "The operator's key may not read the messages of a tenant. The setting `operator_reads_messages` allows it.",
  UNKNOWN_PATH:
    'The path is not forwarded ([list](http-api.md#forwarded-paths)). The operator can add it with `routes`.',
  UNSALTED_PATH:
    'The engine computes KV on this path without a salt, so nothing isolates it ([table](paths.md)). The operator can list it in `unsalted_paths`.',
  METHOD_NOT_ALLOWED: 'The path does not accept this method. `Allow` lists the accepted ones.',
  UPGRADE_REQUIRED: 'WebSocket is not supported. Send the request as POST over HTTP/1.1.',
  UNAUTHORIZED: "The request has no valid key, or has the operator's key instead of a client's.",
  FORBIDDEN_HOST:
    'The `Host` is not accepted (see `allowed_hosts`), or the request comes from a page of another origin. Such pages may not use REST, nor name a session or window without a key.',
  FORBIDDEN_MODEL: 'The tenant may not use this model (setting `tenants`).',
  QUOTA_EXCEEDED:
    'The tenant has reached a limit; the message names the setting. Retrying does not help: delete windows or end sessions.',
  RATE_LIMIT_EXCEEDED:
    'The tenant has too many requests in flight (`max_in_flight_per_tenant`), and none ended within `queue_ms`; or the tenant or the key has used its [requests or tokens of this minute](rate-limits.md). Retry after `Retry-After`.',
  RATE_LIMIT_TOO_SMALL:
    'The request needs more tokens than `tokens_per_minute` allows within a whole minute. Send less, lower `max_tokens`, or ask the operator for a higher limit.',
  OVERLOADED:
    'cwm has reached a limit: requests in flight (`max_in_flight`), queued (`max_queued`), background work (`max_background`), bytes of bodies (`max_body_bytes_in_all`) or of answers that your client does not read (`max_observed_bytes_in_all`), or preflights (`max_preflights`). Retry after `Retry-After`.',
  SESSION_NOT_FOUND: 'This key has no such session.',
  SESSION_EMPTY: 'No turn since the last thaw is retained. Send the next turn with `x-cwm-freeze`.',
  SESSION_AMBIGUOUS:
    'Two sessions have exactly this history, and one of them continues a window. Name the session or the window, because the wrong choice would silently drop the window.',
  SESSION_CHANGED: 'The session was ended, or another window was thawed into it, during the request. Retry.',
  SESSION_HAS_TURNS:
    'A thaw by REST would replace the context of a session that has turns. The message lists what would be lost. Thaw into a new session, or send `"replace": true`.',
  SESSION_ENDED: 'The session was ended while its turn was in flight. Retry, which starts a new session.',
  WINDOW_NOT_FOUND: "This key has no such window. Another tenant's windows get the same answer.",
  WINDOW_NAME_TAKEN: 'A window with this name exists. Choose another name.',
  WINDOW_NOT_READY: 'The window is still being frozen. Retry in a moment.',
  WINDOW_FAILED:
    'The freeze of this window failed; the message has the reason. You can use the name for another freeze.',
  WINDOW_DIVERGES:
    "The request neither repeats the window's messages nor contains only new ones. Send either all of them unchanged and then the new ones, or only the new ones.",
  WINDOW_MISMATCH:
    'The window was frozen with another model, another API, or another `cache_salt`. Use those of the window, or freeze a new one.',
  WINDOW_CORRUPT: 'The stored window does not match its checksum. Restore the store from a backup.',
  ASK_NEEDS_TOOL_RESULT:
    'The window ends in a tool call, so it cannot answer a question. Send the result in a session thawed from it, or ask a clone of its earlier messages.',
  PASSAGES_TOO_LARGE:
    'The text of the windows to select from does not fit into the passage index. Select fewer by names, tag, or search, or raise `passage_index_bytes`.',
  ASK_CALLED_TOOL:
    'The model called a tool instead of answering a question to a window. Say in `instructions` that it must answer in text.',
  ASK_BUDGET_USED_UP:
    'In the answers of many windows: this window was not asked, because its estimated tokens to compute exceed what is left of `budget_tokens`.',
  ASK_DEADLINE:
    'In the answers of many windows: this window had not answered by `deadline_ms`. For the whole question: its windows were not selected by then.',
  LIBRARY_NOT_FOUND: "This key has no such library. Another tenant's libraries get the same answer.",
  LIBRARY_CHANGED:
    'Another request changed the library at the same moment, or it is still being deleted. Send the request again.',
  PIN_BUDGET_FULL: 'The chunks exceed what the tenant may pin (`max_pinned_tokens`). Delete or unpin windows.',
  INVALID_IMPORT: 'The file is not an exported window, or was changed; the message names the field.',
  INVALID_SETTINGS:
    'A reload found faults in the settings; the message lists all of them. Nothing has changed: correct the file, and reload again.',
  DELETION_NOT_FOUND: 'This key has no such delete. Finished deletes are kept for `deletion_keep_ms`.',
  RESPONSE_NOT_FOUND:
    "This key has no stored response with that id. Another tenant's responses get the same answer. If the message names a removed engine, send the earlier items in `input`.",
  ENGINE_NOT_FOUND: 'cwm has no engine with this address. The message lists those that it has.',
  LAST_ENGINE:
    'No other engine is up that could take over the work of the engine to drain. Start, add, or resume another one first.',
  TENANT_NOT_FOUND: 'The settings list no tenant with this id. Add it to `tenants`, and reload.',
  KEY_NOT_FOUND: 'No API key with this id was created by REST. Remove a key of the settings file there, and reload.',
  KEY_NAME_TAKEN: 'The tenant has a key with this name. Choose another name, or revoke that key.',
  UPSTREAM_REFUSED:
    'The engine could not be reached; a refused connection was retried once. Nothing was sent, so retry when the engine is up.',
  UPSTREAM_TIMEOUT: 'The engine did not answer in time (`headers_timeout_ms`, `stream_timeout_ms`).',
  UPSTREAM_BROKEN:
    'The engine closed the connection before or during its answer. It may have started the work, so cwm does not retry. The turn is not part of the session.',
  UPSTREAM_REJECTED:
    "The engine rejected a call that cwm made for a freeze or a thaw; the message has the engine's error.",
  UPSTREAM_OPEN:
    'Several connections to the engine failed in a row (`breaker_failures`), so cwm makes none until `breaker_open_ms` is over. Nothing was sent: retry after `Retry-After`. Operators: start the engine, or restore the connection to it; cwm recovers automatically.',
  LMCACHE_UNREACHABLE:
    "LMCache's control plane does not answer. Check that it runs, and the settings `coordinator` and `lmcache`.",
  LMCACHE_BAD_ANSWER:
    'cwm does not understand an answer from LMCache. Compare its version with the one in `test/recorded`.',
  STORE_UNAVAILABLE:
    'The store cannot be read or written. Check the disk of `data_dir`, or the Redis in the setting `store`. During an outage of Redis, chats continue.',
  BUSY: 'cwm cannot take the request at the moment, for example because of too many event streams or freezes. The message says why. Retry after `Retry-After`.',
  SHUTTING_DOWN:
    'cwm is shutting down, and the answer did not end within `drain_ms`. The turn is not part of the session. Retry with another cwm, or in a moment.',
  CLIENT_GONE: 'The client disconnected before the end. Appears only in logs and metrics.',
  CONFIG: 'The settings are invalid. Appears only at startup.',
  INTERNAL: 'A bug in cwm. The log has the cause under the `x-cwm-request-id`.',
}
