import type { DatabaseTemplate, Templates } from './database-template.ts'
import { PostgresTemplates } from './postgres-templates.ts'
import { SqliteTemplates } from './sqlite-templates.ts'

export function templatesOf({ dialect, url }: Pick<DatabaseTemplate, 'dialect' | 'url'>): Templates {
  return dialect === 'postgresql' ? new PostgresTemplates(url) : new SqliteTemplates(url)
}
