/** The locks on relations that this transaction holds. */
const LOCKS = `from pg_catalog.pg_locks l where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation'`

/** What changes rows or a definition locks its relation more than a read or a row lock does. Sequences are never undone. */
const LOCKS_OF_A_WRITE = `${LOCKS} and l.mode not in ('AccessShareLock', 'RowShareLock')
  and l.relation not in ('pg_catalog.pg_largeobject'::regclass, 'pg_catalog.pg_largeobject_loid_pn_index'::regclass)
  and not exists (select from pg_catalog.pg_class c where c.oid = l.relation and c.relkind = 'S')`

/** Of large objects, which are locked for a read as for a write, the counters of the transaction say what was written. */
const COUNTS_OF_LARGE_OBJECTS = `(select pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(o)
  + pg_catalog.pg_stat_get_xact_tuples_updated(o) + pg_catalog.pg_stat_get_xact_tuples_deleted(o))
  from (values ('pg_catalog.pg_largeobject'::regclass), ('pg_catalog.pg_largeobject_metadata'::regclass)) known(o))`

/**
 * Asks in a transaction whether it has written anything that is not undone.
 *
 * Without a number of its own it has not. It has one from a row lock too, and keeps it where a savepoint has undone a write. The
 * locks on relations differ, and go with what a savepoint undoes; the counters of rows would stay. Where neither a lock of rows
 * nor a savepoint explains the number, something else was written, such as a function defined.
 */
export function hasWritten(isUndonePartly: boolean): string {
  const isUnexplained = isUndonePartly ? 'false' : `not exists (select ${LOCKS} and l.mode = 'RowShareLock')`
  return `select case when pg_catalog.pg_current_xact_id_if_assigned() is null then false
    when exists (select ${LOCKS_OF_A_WRITE}) then true
    when ${COUNTS_OF_LARGE_OBJECTS} > 0 then true
    else ${isUnexplained} end as wrote`
}
