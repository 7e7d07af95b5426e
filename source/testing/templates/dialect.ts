import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConfigurationError } from '../../role/errors.ts'
import type { DatabaseTemplate } from './database-template.ts'

const POSTGRES = /^postgres(?:ql)?:\/\//i
/** Of one letter it is a drive of Windows. */
const SCHEME = /^([a-z][a-z0-9+.-]+):/i

/** Which database a url names; that of SQLite as an absolute path, since a worker may run in another folder. */
export function dialectOf(url: unknown): Pick<DatabaseTemplate, 'dialect' | 'url'> {
  if (typeof url !== 'string' || url === '') throw refused(`is ${typeof url === 'string' ? 'empty' : typeof url}`)
  if (POSTGRES.test(url)) return { dialect: 'postgresql', url: withDatabase(url) }
  return { dialect: 'sqlite', url: resolve(pathOf(url)) }
}

function withDatabase(url: string): string {
  if (!URL.canParse(url)) throw refused('cannot be read')
  if (new URL(url).pathname.length < 2)
    throw refused('names no database, whose name the names of the others begin with')
  return url
}

function pathOf(url: string): string {
  const [, scheme] = SCHEME.exec(url) ?? []
  if (url.includes(':memory:')) throw refused('is a database in memory, which cannot be copied')
  if (scheme === undefined) return url
  if (/^file:\/\//i.test(url)) return fileURLToPath(url)
  if (/^(?:file|sqlite)$/i.test(scheme)) return url.replace(/^[a-z]+:(?:\/\/)?/i, '').replace(/\?.*$/, '')
  throw refused(`begins with "${scheme}:", which is neither PostgreSQL nor SQLite`)
}

/** Without the url: it may have a password. */
function refused(what: string): ConfigurationError {
  return new ConfigurationError(
    `The url of the database ${what}. Give { url: 'postgresql://user:password@localhost:5432/shop' }, or the path of a file ` +
      `for SQLite: { url: './shop.sqlite' }.`,
  )
}
