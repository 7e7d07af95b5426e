/** What one finds on a connection. */
export interface Found {
  readonly mark: string | null
  readonly things: string
}

/** Reads it. */
export const CONNECTION = `select nullif(current_setting('truth.mark', true), '') as mark, concat_ws(', ',
  case when current_user <> session_user then 'a role' end,
  (select 'a temporary table' from pg_class where relnamespace = pg_my_temp_schema() limit 1),
  (select 'a lock' from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() limit 1),
  (select 'a prepared statement' from pg_prepared_statements where from_sql limit 1),
  (select 'a channel' from pg_listening_channels() limit 1),
  (select 'a cursor' from pg_cursors where is_holdable limit 1)) as things`
