import type { SqlEntityManager } from '@mikro-orm/sql'
import { ArticleTag } from '../entities/article-tag.ts'
import type { Article } from '../entities/article.ts'

/** Gives an article, whose tags are loaded, these tags in this order. Those that are in neither list are left alone. */
export function retag(writer: SqlEntityManager, article: Article, names: readonly string[]): void {
  const old = new Map(article.tags.map((tag) => [tag.name, tag]))
  const tags = names.map((name, position) => {
    const tag = old.get(name) ?? writer.create(ArticleTag, { article, name, position })
    tag.position = position
    return tag
  })
  article.tags.set(tags)
}
