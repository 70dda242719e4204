// One line per error code: what it means, and what to do. The text of docs/errors.md.

import type { ErrorCode } from '../../src/base/errors.ts'

export const meaningOf: Readonly<Record<ErrorCode, string>> = {
  INVALID_JSON: 'The body is not one JSON object. The message says where.',
  INVALID_UTF8: 'The body is not strict UTF-8.',
  INVALID_FIELD: 'A field has the wrong form; `param` names it.',
  FORBIDDEN_FIELD:
    'The field reaches below the gateway. Leave it out, or have the operator add it to `allowed_fields`.',
  FORBIDDEN_HEADER:
    'The header reaches below the gateway. Leave it out, or have the operator add it to `allowed_fields`.',
  INVALID_HEADER:
    'An `x-cwm-*` header has the wrong form, is unknown, or is there twice; or two different keys were sent.',
  INVALID_PATH: 'The path is spelt in an odd way (escapes, dots, doubled slashes). Send it plain.',
  BODY_TOO_DEEP: 'The body is nested deeper than 512 levels.',
  BODY_TOO_COMPLEX:
    'The body has too many values (`max_body_values`), members in one object (`max_object_members`), or messages (`max_messages`).',
  CONTEXT_LENGTH_EXCEEDED:
    'The turn does not fit the context, and the policy is `reject`, or nothing of it can be cut. Send less, ask for fewer tokens, or go on with `x-cwm-overflow: rollover`.',
  BODY_TOO_LARGE:
    'The body is over `max_body_bytes`, or unpacks to more than `max_unpacked_ratio` times what was sent.',
  UNSUPPORTED_ENCODING: 'Send the body plain, or in one of gzip, deflate, and br.',
  UNSUPPORTED_MEDIA_TYPE: 'Send the body as `application/json`.',
  BODY_TIMEOUT:
    'The request did not arrive whole within `body_timeout_ms`, or its headers within `request_headers_timeout_ms`.',
  HEADERS_TOO_LARGE: 'The header section is over `max_header_bytes`, or has more than `max_headers` lines.',
  INVALID_HTTP: 'The request is not HTTP that can be read; the connection is closed.',
  NOT_SUPPORTED: 'cwm does not do this; the message says what to do instead.',
  MISDIRECTED_REQUEST: 'The request target names a scheme other than `http`. Send the path alone.',
  UNKNOWN_PATH:
    'Not on the list of paths that are forwarded (`docs/http-api.md`); the operator can add it with `routes`.',
  METHOD_NOT_ALLOWED: 'The path does not accept this method; `Allow` lists those that it accepts.',
  UPGRADE_REQUIRED: 'WebSocket is not supported. Send the request as POST over HTTP/1.1.',
  UNAUTHORIZED: "A key is missing, or the operator's key was used where a client's belongs.",
  FORBIDDEN_HOST:
    'The `Host` is not one that is answered (see `allowed_hosts`), or the request is of a page from another origin: none may use REST, and without a key none may name a session or window.',
  FORBIDDEN_MODEL: 'The model is not among those that this tenant may use (setting `tenants`).',
  QUOTA_EXCEEDED:
    'The tenant has used up a quota; the message names the setting. Retrying does not help: delete windows or end sessions.',
  RATE_LIMIT_EXCEEDED:
    'The tenant has as many requests in flight as it may (`max_in_flight_per_tenant`), and no place became free within `queue_ms`. Send it again after `Retry-After`.',
  OVERLOADED:
    'cwm is at a limit: requests in flight (`max_in_flight`), waiting (`max_queued`), or in memory (`max_body_bytes_in_all`), or preflights (`max_preflights`). Retry after `Retry-After`.',
  SESSION_NOT_FOUND: 'No such session under this key.',
  SESSION_EMPTY: 'The last turn is no longer in memory. Send the next turn with `x-cwm-freeze`.',
  SESSION_AMBIGUOUS:
    'Two sessions hold exactly this history, one of them behind a window. Name the session or the window: taking the wrong one would lose the window in silence.',
  SESSION_CHANGED:
    'The session was ended, or another window was thawed into it, while the request was at work on it. Send it again.',
  SESSION_HAS_TURNS:
    'A thaw by REST would replace the context of a session that has turns; the message says what would be lost. Thaw into a new session, or send `"replace": true`.',
  SESSION_ENDED: 'The session was ended while its turn was in flight. Send the request again: it begins a new session.',
  WINDOW_NOT_FOUND: "No such window under this key. Another tenant's windows answer the same.",
  WINDOW_NAME_TAKEN: 'There is a window of that name. Choose another.',
  WINDOW_NOT_READY: 'The window is still being frozen. Send it again in a moment.',
  WINDOW_FAILED: 'The freeze of this window failed; the message has the reason. The name can be frozen again.',
  WINDOW_DIVERGES: 'The request neither extends the window nor goes behind it.',
  WINDOW_MISMATCH: 'The window was frozen with another model or another API.',
  WINDOW_CORRUPT: 'The stored window does not match its checksum. Restore the store from a backup.',
  PIN_BUDGET_FULL:
    'The chunks do not fit what the tenant may pin (`max_pinned_tokens`). Delete windows, or give their pins back.',
  INVALID_IMPORT: 'The file is no exported window, or was changed since; the message names the field.',
  DELETION_NOT_FOUND: 'No such delete under this key; what is done is kept for `deletion_keep_ms`.',
  RESPONSE_NOT_FOUND: "No stored response of that id under this key. Another tenant's answer the same.",
  UPSTREAM_REFUSED:
    'No connection to the engine; where it was refused, twice. Nothing was sent: send it again when the engine is up.',
  UPSTREAM_TIMEOUT: 'The engine did not answer in time (`headers_timeout_ms`, `stream_timeout_ms`).',
  UPSTREAM_BROKEN:
    'The engine broke the connection, before its answer or within it. It may have begun to work, so cwm does not send the request again. The turn is not part of the session.',
  UPSTREAM_REJECTED: 'The engine refused a call that cwm made for a freeze or a thaw; the message has its words.',
  UPSTREAM_OPEN:
    'The engine could not be connected to several times in a row (`breaker_failures`), so it is not asked again until `breaker_open_ms` is over. Nothing was sent: send it again after `Retry-After`. Operators: start the engine, or mend the way to it; nothing has to be reset.',
  LMCACHE_UNREACHABLE: "LMCache's control plane does not answer.",
  LMCACHE_BAD_ANSWER:
    'LMCache answered what cwm does not understand; compare its version with the one in `test/recorded`.',
  STORE_UNAVAILABLE:
    'The store cannot be read or written. Check the disk of `data_dir`, or the Redis of the setting `store`; with the latter, chats go on.',
  BUSY: 'Too much is waiting. Send it again after `Retry-After`.',
  SHUTTING_DOWN:
    'cwm is being stopped, and the answer did not end within `drain_ms`. The turn is not part of the session: send it again, to another cwm or in a moment.',
  CLIENT_GONE: 'The client left before the end. Seen in logs and metrics only.',
  CONFIG: 'The settings are wrong. Seen at start only.',
  INTERNAL: 'A fault of cwm. The log has the cause under the `x-cwm-request-id`.',
}
