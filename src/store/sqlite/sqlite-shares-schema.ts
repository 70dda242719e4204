// The table of shares, and the triggers that keep its amounts (sqlite-shares.ts reads them). Released: it never changes.

/**
 * What each tenant holds of the bounded logs and turns: entries, events, bytes of retained turns. `gained_at` is the id or time of its newest.
 * `dropped`, of events: everything of that tenant after it is present; of a tenant without a row, after `events_from_rest`.
 */
export const sharesStep = `
  CREATE TABLE shares (
    of TEXT NOT NULL,
    tenant TEXT NOT NULL,
    amount INTEGER NOT NULL,
    gained_at INTEGER NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (of, tenant)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX shares_largest ON shares (of, amount DESC, gained_at);
  CREATE INDEX shares_idle ON shares (of, gained_at);

  ALTER TABLE audit ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
  UPDATE audit SET failed = 1 WHERE entry ->> '$.outcome' <> 'ok';
  CREATE INDEX audit_shares ON audit (tenant, failed, at, id);
  CREATE INDEX retained_of_tenant ON retained (tenant, seq);
  INSERT INTO shares (of, tenant, amount, gained_at)
    SELECT iif(failed, 'failed_audit_entries', 'audit_entries'), tenant, count(*), max(at)
    FROM audit GROUP BY failed, tenant;
  INSERT INTO shares (of, tenant, amount, gained_at, dropped)
    SELECT 'events', tenant, count(*), max(seq), (SELECT total FROM totals WHERE of = 'events_from')
    FROM events GROUP BY tenant;
  INSERT INTO shares (of, tenant, amount, gained_at)
    SELECT 'retained_bytes', tenant, sum(bytes), unixepoch() * 1000 FROM retained GROUP BY tenant;
  INSERT INTO totals SELECT 'failed_audit_entries', count(*) FROM audit WHERE failed;
  INSERT INTO totals SELECT 'events_from_rest', total FROM totals WHERE of = 'events_from';
  UPDATE totals SET total = (SELECT count(*) FROM audit WHERE NOT failed) WHERE of = 'audit_entries';

  DROP TRIGGER audit_added;
  DROP TRIGGER audit_dropped;
  CREATE TRIGGER audit_added AFTER INSERT ON audit BEGIN
    UPDATE totals SET total = total + 1 WHERE of = iif(NEW.failed, 'failed_audit_entries', 'audit_entries');
    INSERT INTO shares (of, tenant, amount, gained_at)
      VALUES (iif(NEW.failed, 'failed_audit_entries', 'audit_entries'), NEW.tenant, 1, NEW.at)
      ON CONFLICT (of, tenant) DO UPDATE SET amount = amount + 1, gained_at = excluded.gained_at;
  END;
  CREATE TRIGGER audit_dropped AFTER DELETE ON audit BEGIN
    UPDATE totals SET total = total - 1 WHERE of = iif(OLD.failed, 'failed_audit_entries', 'audit_entries');
    UPDATE shares SET amount = amount - 1
      WHERE of = iif(OLD.failed, 'failed_audit_entries', 'audit_entries') AND tenant = OLD.tenant;
    DELETE FROM shares
      WHERE of = iif(OLD.failed, 'failed_audit_entries', 'audit_entries') AND tenant = OLD.tenant AND amount = 0;
  END;
  CREATE TRIGGER event_share_added AFTER INSERT ON events BEGIN
    INSERT INTO shares (of, tenant, amount, gained_at, dropped)
      VALUES ('events', NEW.tenant, 1, NEW.seq, (SELECT total FROM totals WHERE of = 'events_from_rest'))
      ON CONFLICT (of, tenant) DO UPDATE SET amount = amount + 1, gained_at = excluded.gained_at;
  END;
  CREATE TRIGGER event_share_dropped AFTER DELETE ON events BEGIN
    UPDATE shares SET amount = amount - 1 WHERE of = 'events' AND tenant = OLD.tenant;
    DELETE FROM shares WHERE of = 'events' AND tenant = OLD.tenant AND amount = 0;
  END;
  CREATE TRIGGER retained_share_dropped AFTER DELETE ON retained BEGIN
    UPDATE shares SET amount = amount - OLD.bytes WHERE of = 'retained_bytes' AND tenant = OLD.tenant;
    DELETE FROM shares WHERE of = 'retained_bytes' AND tenant = OLD.tenant AND amount = 0;
  END;
  `
