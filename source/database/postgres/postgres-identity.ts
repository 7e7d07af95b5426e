import type { Client } from 'pg'
import type { Whereabouts } from '../database-names.ts'
import type { ClusterIdentity } from '../replicas.ts'

const INSUFFICIENT_PRIVILEGE = '42501'

interface Facts {
  readonly system: string
  readonly database: string
  /** When the server was started, in microseconds. */
  readonly start: string
  readonly address: string
  /** Grows when a standby takes over. */
  readonly timeline: number
}

const ADDRESS = `concat(inet_server_addr(), ':', current_setting('port'))`

/** Where the database of a connection is. */
export async function whereaboutsOf(client: Client): Promise<Whereabouts> {
  const { system, database, start, address, timeline } = await factsOf(client)
  return {
    // Clones of a server have its number and the same databases, and were started at another time.
    identity: `${system}/${database}/${start}`,
    text: `${system}/${database}/${start} ${address} ${timeline}`,
    continues(text) {
      const [before, addressBefore, timelineBefore] = text.split(' ')
      const [systemBefore, databaseBefore] = before?.split('/') ?? []
      if (systemBefore !== system || databaseBefore !== database) return false
      return addressBefore === address || Number(timelineBefore) < timeline
    },
  }
}

async function factsOf(client: Client): Promise<Facts> {
  try {
    return await ask(
      client,
      '(select system_identifier::text from pg_control_system())',
      '(select timeline_id from pg_control_checkpoint())',
    )
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== INSUFFICIENT_PRIVILEGE) throw error
    // Who may not ask for the server's own number knows servers by their address.
    return await ask(client, ADDRESS, '0')
  }
}

async function ask(client: Client, system: string, timeline: string): Promise<Facts> {
  const { rows } = await client.query<Facts>(
    `select ${system} as system, (select oid::text from pg_database where datname = current_database()) as database, ` +
      `(extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint::text as start, ` +
      `${ADDRESS} as address, ${timeline} as timeline`,
  )
  return rows[0] as Facts
}

/** Which database of which cluster, under any address; undefined where its user may not ask for that. @throws the driver's error */
export async function clusterOf(client: Client): Promise<ClusterIdentity | undefined> {
  try {
    const { rows } = await client.query<ClusterIdentity>(
      `select concat((select system_identifier from pg_control_system()), '/', current_database()) as database, ` +
        `pg_is_in_recovery() as "isInRecovery"`,
    )
    return rows[0]
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== INSUFFICIENT_PRIVILEGE) throw error
    return undefined
  }
}
