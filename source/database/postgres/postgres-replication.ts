import type { AbstractSqlConnection, AbstractSqlDriver } from '@mikro-orm/sql'
import { replicasOf } from '../connections-of.ts'
import type { FollowOptions, Replication } from '../database.ts'
import type { ClusterIdentity, Fallbacks, ReplicaReport } from '../replicas.ts'
import type { WalPosition } from '../wal-position.ts'
import type { ClientPool } from './client-pool.ts'
import { askPosition, type CommitPositions } from './commit-position.ts'
import { serverOf } from './configured-pool.ts'
import type { Aside } from './postgres-decisions.ts'
import { clusterOf } from './postgres-identity.ts'
import { PrimaryWatch } from './primary-watch.ts'
import { Replica } from './replica.ts'
import { ReplicaSet } from './replica-set.ts'
import { ReplicaWatch } from './replica-watch.ts'
import { ServerLine } from './server-line.ts'

/** The primary of an ORM and its replicas: where commits are, and which replicas show them. */
export class PostgresReplication implements Replication {
  readonly #role: string
  readonly #driver: AbstractSqlDriver
  readonly #clientsOf: (connection: AbstractSqlConnection) => ClientPool
  readonly #aside: Aside
  readonly #hearing: ((position: WalPosition) => void)[] = []
  #commits: CommitPositions | undefined
  #set: ReplicaSet | undefined
  #lastCommit: WalPosition = 0n

  constructor(
    role: string,
    driver: AbstractSqlDriver,
    clientsOf: (connection: AbstractSqlConnection) => ClientPool,
    aside: Aside,
  ) {
    this.#role = role
    this.#driver = driver
    this.#clientsOf = clientsOf
    this.#aside = aside
  }

  /** The replicas that it reads from, if it does. */
  get set(): ReplicaSet | undefined {
    return this.#set
  }

  /** Given where somebody wants to know where its commits are. */
  get commits(): CommitPositions | undefined {
    return this.#commits
  }

  get lastCommit(): WalPosition {
    return this.#lastCommit
  }

  get reportsCommits(): boolean {
    return this.#commits !== undefined
  }

  reportCommits(heard: (position: WalPosition) => void): void {
    this.#hearing.push(heard)
    this.#commits ??= { ask: () => askPosition(this.#aside), heard: (position) => this.#heard(position) }
  }

  #heard(position: WalPosition): void {
    this.#lastCommit = position
    for (const hear of this.#hearing) hear(position)
  }

  get isFollowing(): boolean {
    return this.#set !== undefined
  }

  follow({ rules, assertSameDatabase, changed }: FollowOptions): (position: WalPosition) => void {
    const line = new ServerLine(() => this.#clientsOf(this.#driver.getConnection('write')).poolAside())
    const primary = new PrimaryWatch(line, rules.maxLagMs)
    const replicas = replicasOf(this.#driver).map(
      (connection) =>
        new Replica(serverOf(connection), this.#clientsOf(connection), (replica, probed) =>
          watch.judge(replica, probed),
        ),
    )
    const watch = new ReplicaWatch(replicas, primary, (replica) => changed(set.reportOf(replica)))
    const set = new ReplicaSet({ role: this.#role, rules, replicas, primary, watch, assertSameDatabase })
    this.#set = set
    return (position) => set.noteCommit(position)
  }

  async identity(): Promise<ClusterIdentity | undefined> {
    return await this.#aside(clusterOf)
  }

  report(): ReplicaReport[] {
    return this.#set?.report() ?? []
  }

  get fallbacks(): Fallbacks {
    return this.#set?.fallbacks ?? {}
  }

  /** Asks no server any more, until it is used again. */
  stop(): void {
    this.#set?.watch.stop()
  }
}
