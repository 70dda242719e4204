// The tables of the SQLite store, and the migrations of older files. The version is in the file (`user_version`). Records are stored as one
// JSON text beside the searchable columns: reading 1,000 sessions takes 4.4 ms this way, and 6.6 ms as thirteen columns (libsql's cost is
// per column), and a new optional field needs no migration. JSON also preserves NUL and lone surrogates, which libsql truncates or replaces
// in plain text.

import { sharesStep } from './sqlite-shares-schema.ts'

/** Identifies a file as cwm's (`PRAGMA application_id`): "cwm1". */
export const applicationId = 0x63776d31

/**
 * Step n migrates a file from version n to n + 1. A released step never changes. `window_prompts` and `window_tokens` are separate, so that
 * the ids, which are stored later, do not rewrite megabytes of messages. `boundaries.session_id` is null if the boundary is ambiguous; a
 * higher `seq` is newer.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    last_turn_at INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
  ) STRICT;
  CREATE INDEX sessions_newest ON sessions (tenant, last_turn_at, id);
  CREATE INDEX sessions_forgotten ON sessions (last_turn_at)
    WHERE json_extract(record, '$.named') = 0 AND json_extract(record, '$.baseWindow') IS NULL;

  CREATE TABLE boundaries (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    digest TEXT NOT NULL,
    session_id TEXT,
    expires_at INTEGER NOT NULL,
    UNIQUE (tenant, digest)
  ) STRICT;
  CREATE INDEX boundaries_of_session ON boundaries (tenant, session_id, seq);
  CREATE INDEX boundaries_expiry ON boundaries (expires_at);

  CREATE TABLE windows (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    pin TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    record TEXT NOT NULL,
    UNIQUE (tenant, name)
  ) STRICT;
  CREATE INDEX windows_newest ON windows (tenant, created_at, name);
  CREATE INDEX windows_repair ON windows (created_at, seq, state, pin);

  CREATE TABLE window_prompts (
    window INTEGER PRIMARY KEY REFERENCES windows (seq) ON DELETE CASCADE,
    prompt TEXT NOT NULL
  ) STRICT;
  CREATE TABLE window_tokens (
    window INTEGER PRIMARY KEY REFERENCES windows (seq) ON DELETE CASCADE,
    token_ids BLOB NOT NULL
  ) STRICT;
  `,
  // 2: for deletes, clones, tenants and encryption. `key_id` is the key that a value is sealed with, 0 for none; `words` are a window's
  // reason and note, which may quote its messages; `used_at` is the last thaw, the freeze or the creation. The sort indexes contain the
  // filtered columns, so that a window that does not match costs no read of its row (10,000 of them: 50 ms without, 5 with).
  `
  DROP INDEX sessions_forgotten;
  ALTER TABLE sessions ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
  UPDATE sessions SET
    lineage = record ->> '$.lineage',
    record = json_set(record, '$.head', 0, '$.spaces', json_array());
  CREATE INDEX sessions_idle ON sessions (last_turn_at);
  CREATE INDEX sessions_of_lineage ON sessions (tenant, lineage);

  CREATE TABLE responses (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX responses_of_session ON responses (tenant, session_id);
  CREATE INDEX responses_expiry ON responses (expires_at);

  CREATE TABLE shared_lineages (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    lineage TEXT NOT NULL,
    PRIMARY KEY (tenant, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX shared_lineages_by_lineage ON shared_lineages (tenant, lineage);
  CREATE TABLE retired_lineages (
    tenant TEXT NOT NULL,
    lineage TEXT NOT NULL,
    retired_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, lineage)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX retired_lineages_oldest ON retired_lineages (retired_at);

  ALTER TABLE windows ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
  ALTER TABLE windows ADD COLUMN session_id TEXT;
  ALTER TABLE windows ADD COLUMN parent TEXT;
  ALTER TABLE windows ADD COLUMN model TEXT NOT NULL DEFAULT '';
  ALTER TABLE windows ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE windows ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE windows ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE windows ADD COLUMN words BLOB;
  ALTER TABLE windows ADD COLUMN key_id INTEGER NOT NULL DEFAULT 0;
  UPDATE windows SET
    lineage = record ->> '$.lineage',
    session_id = record ->> '$.sessionId',
    parent = record ->> '$.parent',
    model = record ->> '$.model',
    tokens = coalesce(record ->> '$.receipt.tokens', 0),
    used_at = coalesce(record ->> '$.frozenAt', created_at),
    bytes = (SELECT length(CAST(prompt AS BLOB)) FROM window_prompts WHERE window = seq)
      + (SELECT length(token_ids) FROM window_tokens WHERE window = seq),
    words = CAST('{"reason":' || (record -> '$.reason') || '}' AS BLOB);
  UPDATE windows SET record = json_set(json_remove(record, '$.reason'),
    '$.origin', 'session', '$.tags', json_array(), '$.kvEpoch', 0, '$.bytes', bytes);
  DROP INDEX windows_newest;
  DROP INDEX windows_repair;
  CREATE INDEX windows_by_created ON windows (tenant, created_at, name, state, pin, model);
  CREATE INDEX windows_by_name ON windows (tenant, name, created_at, state, pin, model);
  CREATE INDEX windows_by_thawed ON windows (tenant, used_at, name, created_at, state, pin, model);
  CREATE INDEX windows_by_tokens ON windows (tenant, tokens, name, created_at, state, pin, model);
  CREATE INDEX windows_of_lineage ON windows (tenant, lineage);
  CREATE INDEX windows_of_session ON windows (tenant, session_id) WHERE session_id IS NOT NULL;
  CREATE INDEX windows_of_parent ON windows (tenant, parent) WHERE parent IS NOT NULL;
  CREATE INDEX windows_repair ON windows (created_at, seq, state, pin);
  CREATE INDEX windows_sealed ON windows (key_id) WHERE words IS NOT NULL;

  CREATE TABLE window_tags (
    tenant TEXT NOT NULL,
    tag TEXT NOT NULL,
    window INTEGER NOT NULL REFERENCES windows (seq) ON DELETE CASCADE,
    PRIMARY KEY (tenant, tag, window)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX window_tags_of_window ON window_tags (window);

  ALTER TABLE window_prompts RENAME TO prompts_of_1;
  CREATE TABLE window_prompts (
    window INTEGER PRIMARY KEY REFERENCES windows (seq) ON DELETE CASCADE,
    key_id INTEGER NOT NULL,
    prompt BLOB NOT NULL
  ) STRICT;
  INSERT INTO window_prompts SELECT window, 0, CAST(prompt AS BLOB) FROM prompts_of_1;
  DROP TABLE prompts_of_1;
  CREATE INDEX window_prompts_sealed ON window_prompts (key_id);
  ALTER TABLE window_tokens ADD COLUMN key_id INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX window_tokens_sealed ON window_tokens (key_id);

  CREATE TABLE deletions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    at INTEGER NOT NULL,
    next_try_at INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
  ) STRICT;
  CREATE INDEX deletions_newest ON deletions (tenant, at, id);
  CREATE INDEX deletions_open ON deletions (at, id, next_try_at) WHERE state = 'open';
  CREATE INDEX deletions_done ON deletions (at) WHERE state = 'done';
  CREATE TABLE deletion_sequences (
    tenant TEXT NOT NULL,
    deletion TEXT NOT NULL,
    place INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    token_ids BLOB NOT NULL,
    PRIMARY KEY (tenant, deletion, place)
  ) STRICT;
  CREATE INDEX deletion_sequences_sealed ON deletion_sequences (key_id);

  CREATE TABLE retained (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    session_id TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    turn BLOB NOT NULL,
    UNIQUE (tenant, session_id)
  ) STRICT;
  CREATE INDEX retained_sealed ON retained (key_id);

  CREATE TABLE audit (
    tenant TEXT NOT NULL,
    at INTEGER NOT NULL,
    id TEXT NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (at, id)
  ) STRICT;
  CREATE INDEX audit_of_tenant ON audit (tenant, at, id);

  CREATE TABLE totals (
    of TEXT NOT NULL PRIMARY KEY,
    total INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO totals VALUES ('audit_entries', 0), ('retained_bytes', 0);
  CREATE TRIGGER audit_added AFTER INSERT ON audit BEGIN
    UPDATE totals SET total = total + 1 WHERE of = 'audit_entries';
  END;
  CREATE TRIGGER audit_dropped AFTER DELETE ON audit BEGIN
    UPDATE totals SET total = total - 1 WHERE of = 'audit_entries';
  END;
  CREATE TRIGGER retained_added AFTER INSERT ON retained BEGIN
    UPDATE totals SET total = total + NEW.bytes WHERE of = 'retained_bytes';
  END;
  CREATE TRIGGER retained_dropped AFTER DELETE ON retained BEGIN
    UPDATE totals SET total = total - OLD.bytes WHERE of = 'retained_bytes';
  END;

  CREATE TABLE usage (
    tenant TEXT NOT NULL PRIMARY KEY,
    windows INTEGER NOT NULL DEFAULT 0,
    window_bytes INTEGER NOT NULL DEFAULT 0,
    sessions INTEGER NOT NULL DEFAULT 0,
    pinned_tokens INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  INSERT INTO usage (tenant, sessions) SELECT tenant, count(*) FROM sessions GROUP BY tenant;
  INSERT INTO usage (tenant, windows, window_bytes, pinned_tokens)
    SELECT tenant, count(*), sum(bytes), sum(iif(pin IN ('pinning', 'pinned'), tokens, 0))
    FROM windows WHERE true GROUP BY tenant
    ON CONFLICT (tenant) DO UPDATE SET windows = excluded.windows, window_bytes = excluded.window_bytes,
      pinned_tokens = excluded.pinned_tokens;
  CREATE TRIGGER session_added AFTER INSERT ON sessions BEGIN
    INSERT INTO usage (tenant, sessions) VALUES (NEW.tenant, 1)
      ON CONFLICT (tenant) DO UPDATE SET sessions = sessions + 1;
  END;
  CREATE TRIGGER session_dropped AFTER DELETE ON sessions BEGIN
    UPDATE usage SET sessions = sessions - 1 WHERE tenant = OLD.tenant;
    DELETE FROM usage WHERE tenant = OLD.tenant AND sessions = 0 AND windows = 0;
  END;
  CREATE TRIGGER window_added AFTER INSERT ON windows BEGIN
    INSERT INTO usage (tenant, windows, window_bytes, pinned_tokens)
      VALUES (NEW.tenant, 1, NEW.bytes, iif(NEW.pin IN ('pinning', 'pinned'), NEW.tokens, 0))
      ON CONFLICT (tenant) DO UPDATE SET windows = windows + 1, window_bytes = window_bytes + excluded.window_bytes,
        pinned_tokens = pinned_tokens + excluded.pinned_tokens;
  END;
  CREATE TRIGGER window_changed AFTER UPDATE OF bytes, tokens, pin ON windows BEGIN
    UPDATE usage SET window_bytes = window_bytes + NEW.bytes - OLD.bytes,
      pinned_tokens = pinned_tokens + iif(NEW.pin IN ('pinning', 'pinned'), NEW.tokens, 0)
        - iif(OLD.pin IN ('pinning', 'pinned'), OLD.tokens, 0)
      WHERE tenant = NEW.tenant;
  END;
  CREATE TRIGGER window_dropped AFTER DELETE ON windows BEGIN
    UPDATE usage SET windows = windows - 1, window_bytes = window_bytes - OLD.bytes,
      pinned_tokens = pinned_tokens - iif(OLD.pin IN ('pinning', 'pinned'), OLD.tokens, 0)
      WHERE tenant = OLD.tenant;
    DELETE FROM usage WHERE tenant = OLD.tenant AND sessions = 0 AND windows = 0;
  END;
  `,
  // 3: sessions with a name or a base window expire by another setting than those that only boundaries lead to.
  `
  DROP INDEX sessions_idle;
  ALTER TABLE sessions ADD COLUMN lasting INTEGER NOT NULL DEFAULT 0;
  UPDATE sessions SET lasting = record ->> '$.named' OR record ->> '$.baseWindow' IS NOT NULL;
  CREATE INDEX sessions_idle ON sessions (lasting, last_turn_at);
  `,
  // 4: events. `seq` is a time, or the next number (sqlite-events.ts). `events_from`: everything after it is present, unless a tenant was
  // forgotten; a new file knows nothing about earlier events.
  `
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    event TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_of_tenant ON events (tenant, seq);
  INSERT INTO totals VALUES ('events', 0), ('events_from', unixepoch() * 1000000);
  CREATE TRIGGER event_added AFTER INSERT ON events BEGIN
    UPDATE totals SET total = total + 1 WHERE of = 'events';
  END;
  CREATE TRIGGER event_dropped AFTER DELETE ON events BEGIN
    UPDATE totals SET total = total - 1 WHERE of = 'events';
  END;
  `,
  // 5: tenants' overrides of settings.
  `
  CREATE TABLE choices (
    tenant TEXT NOT NULL PRIMARY KEY,
    choices TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // 6: boundaries of a long history only displace those of their own rank. A new column is the last one, so nothing is rewritten.
  `
  ALTER TABLE boundaries ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
  DROP INDEX boundaries_of_session;
  CREATE INDEX boundaries_of_session ON boundaries (tenant, session_id, rank, seq);
  `,
  // 7: sessions with a single turn (first-turns.ts). `row` contains the time of that turn; `shape` is JSON shared by many.
  `
  CREATE TABLE first_turn_shapes (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    shape TEXT NOT NULL
  ) STRICT;
  CREATE TABLE first_turns (
    row INTEGER PRIMARY KEY,
    shape INTEGER NOT NULL,
    data BLOB NOT NULL
  ) STRICT;
  CREATE INDEX first_turns_of_shape ON first_turns (shape);
  `,
  // 8: what each tenant holds of the bounded logs and turns.
  sharesStep,
  // 9: logins to the dashboard that ended before their time. The row with an empty id ends all of its owner's logins up to its `until`.
  `
  CREATE TABLE ended_logins (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX ended_logins_of_owner ON ended_logins (owner, until);
  CREATE INDEX ended_logins_expiry ON ended_logins (until);
  `,
  // 10: deleted windows that sessions are still based on (sqlite-held.ts). `base_window` is a column because an index over `record` would
  // parse the record with each turn. `bytes` still count toward the tenant's usage. If the last session of a tenant ends, the tenant's row there
  // is dropped before the held window is, and the update changes nothing.
  `
  ALTER TABLE sessions ADD COLUMN base_window TEXT;
  UPDATE sessions SET base_window = record ->> '$.baseWindowId' WHERE record ->> '$.baseWindowId' IS NOT NULL;
  CREATE INDEX sessions_of_base ON sessions (tenant, base_window, id) WHERE base_window IS NOT NULL;
  CREATE TABLE held_windows (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    deletion TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    prompt_key_id INTEGER NOT NULL,
    tokens_key_id INTEGER NOT NULL,
    record TEXT NOT NULL,
    words BLOB,
    prompt BLOB NOT NULL,
    token_ids BLOB NOT NULL,
    PRIMARY KEY (tenant, id)
  ) STRICT;
  CREATE TRIGGER held_window_added AFTER INSERT ON held_windows BEGIN
    UPDATE usage SET window_bytes = window_bytes + NEW.bytes WHERE tenant = NEW.tenant;
  END;
  CREATE TRIGGER held_window_dropped AFTER DELETE ON held_windows BEGIN
    UPDATE usage SET window_bytes = window_bytes - OLD.bytes WHERE tenant = OLD.tenant;
  END;
  `,
  // 11: open deletes are listed by tenant, so that one tenant's do not hide another's.
  `
  DROP INDEX deletions_open;
  CREATE INDEX deletions_open ON deletions (tenant, next_try_at, id) WHERE state = 'open';
  `,
  // 12: several engines (sqlite-engines.ts): where each key is placed, which engines drain, and which one stores a response.
  `
  CREATE TABLE placements (
    key TEXT NOT NULL PRIMARY KEY,
    engine TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX placements_of_engine ON placements (engine);
  CREATE INDEX placements_expiry ON placements (expires_at);
  INSERT INTO totals VALUES ('placements', 0);
  CREATE TRIGGER placement_added AFTER INSERT ON placements BEGIN
    UPDATE totals SET total = total + 1 WHERE of = 'placements';
  END;
  CREATE TRIGGER placement_dropped AFTER DELETE ON placements BEGIN
    UPDATE totals SET total = total - 1 WHERE of = 'placements';
  END;
  CREATE TABLE draining_engines (
    engine TEXT NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE responses ADD COLUMN engine TEXT;
  `,
  // 13: libraries (sqlite-libraries.ts), and the prompts of their windows that are not frozen yet.
  `
  CREATE TABLE libraries (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (tenant, name)
  ) STRICT;
  CREATE INDEX libraries_open ON libraries (tenant, name) WHERE is_open = 1;
  CREATE INDEX libraries_sealed ON libraries (key_id);
  CREATE TABLE library_parts (
    tenant TEXT NOT NULL,
    library TEXT NOT NULL,
    window TEXT NOT NULL,
    is_done INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    prompt BLOB NOT NULL,
    PRIMARY KEY (tenant, library, window)
  ) STRICT;
  CREATE INDEX library_parts_sealed ON library_parts (key_id);
  `,
  // 14: the ledger (sqlite-ledger.ts).
  `
  CREATE TABLE ledger (
    tenant TEXT NOT NULL,
    unit TEXT NOT NULL,
    at INTEGER NOT NULL,
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    counts TEXT NOT NULL,
    PRIMARY KEY (tenant, unit, at, key, model)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX ledger_by_age ON ledger (unit, at);
  CREATE TABLE ledger_sources (
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant, source)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE ledger_tenants (
    tenant TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // 15: API keys created by REST (sqlite-api-keys.ts).
  `
  CREATE TABLE api_keys (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    used_at INTEGER,
    record TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
  ) STRICT;
  CREATE TABLE api_key_tenants (
    tenant TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO totals VALUES ('api_keys_revision', 0);
  `,
  // 16: the ledger's journal (sqlite-ledger-journal.ts). Numbers of additions are kept in memory.
  `
  DROP TABLE ledger_sources;
  CREATE TABLE ledger_journal (
    id INTEGER PRIMARY KEY,
    tenant_group INTEGER NOT NULL,
    max_tenants INTEGER NOT NULL,
    entries TEXT NOT NULL
  ) STRICT;
  CREATE INDEX ledger_journal_by_group ON ledger_journal (tenant_group);
  `,
]

/** The version that this build writes, and the newest it can read. */
export const schemaVersion = migrations.length
