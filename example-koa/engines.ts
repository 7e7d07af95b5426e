import { join } from 'node:path'
import { MikroORM as PostgresOrm } from '@mikro-orm/postgresql'
import type { SqlMikroORM } from '@mikro-orm/sql'
import { MikroORM as SqliteOrm } from '@mikro-orm/sqlite'
import { ConventionNamingStrategy } from 'koa-sqlassist'
import type { Config } from './config.ts'
import { ArticleTag } from './entities/article-tag.ts'
import { Article } from './entities/article.ts'
import { AuditEntry } from './entities/audit-entry.ts'
import { Comment } from './entities/comment.ts'
import { Favorite } from './entities/favorite.ts'
import { Follow } from './entities/follow.ts'
import { User } from './entities/user.ts'
import { prepare } from './prepare.ts'

const CONTENT = [User, Follow, Article, ArticleTag, Favorite, Comment]
const AUDIT = [AuditEntry]

// Names that can be foretold: `uq_users_email` is what to-api-error.ts reads the field from.
const NAMES = { namingStrategy: ConventionNamingStrategy }

export type Engines = Awaited<ReturnType<typeof openEngines>>

/**
 * The roles of the application, each with a MikroORM instance of its own: the reader for what only looks, the writer
 * for what changes, the logger for what is kept whatever becomes of the rest.
 */
export async function openEngines(config: Config) {
  const { databaseUrl, databaseReplicas: replicas } = config
  const open = databaseUrl ? postgres(databaseUrl) : sqlite(config.dataDirectory)
  const reader = open(CONTENT, 'content', replicas)
  const writer = open(CONTENT, 'content')
  const logger = open(AUDIT, 'audit')
  await prepare(writer)
  await prepare(logger)
  return {
    // On replicas it shows what its client has just written.
    reader: { orm: reader, readOnly: true, replicaOf: databaseUrl && replicas ? 'writer' : undefined },
    writer,
    logger: { orm: logger, commit: 'autonomous' },
  } as const
}

type OpenOrm = (entities: typeof CONTENT | typeof AUDIT, file: string, replicas?: readonly string[]) => SqlMikroORM

function postgres(url: string): OpenOrm {
  return (entities, _file, replicas = []) =>
    new PostgresOrm({ clientUrl: url, replicas: replicas.map((clientUrl) => ({ clientUrl })), entities, ...NAMES })
}

function sqlite(directory: string): OpenOrm {
  return (entities, file) => new SqliteOrm({ dbName: join(directory, `${file}.sqlite`), entities, ...NAMES })
}
