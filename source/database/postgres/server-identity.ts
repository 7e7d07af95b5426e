/** Which server it is, since when. */
export interface ServerIdentity {
  /** The number of the cluster, which its standbys share; null where the user may not ask for it. */
  readonly system: string | null
  readonly started: string
}

/** How long a server may take to answer a short question. */
export const PROBE_LIMIT_MS = 1000

/** The columns of a {@link ServerIdentity}. */
export function identityColumns(asksSystem: boolean): string {
  const system = asksSystem ? '(select system_identifier::text from pg_catalog.pg_control_system())' : 'null'
  return `${system} as system, pg_catalog.pg_postmaster_start_time()::text as started`
}

/** Whether it is one server, not started again since. */
export function isSameServer(one: ServerIdentity, other: ServerIdentity): boolean {
  return isSameCluster(one, other) && one.started === other.started
}

/** Whether they are a primary and its standby, as far as the user may know. */
export function isSameCluster(one: ServerIdentity, other: ServerIdentity): boolean {
  return one.system === null || other.system === null || one.system === other.system
}
