import type { RouteContext } from '../context.ts'
import { Article } from '../entities/article.ts'
import { User } from '../entities/user.ts'
import { newSlug } from '../slug.ts'

export interface Draft {
  readonly title: string
  readonly description: string
  readonly body: string
  readonly tagList: readonly string[]
}

/** No flush and no commit: what is created here is sent and committed after the route, before the response leaves. */
export function publish({ dbSession, txn, app }: RouteContext, author: User, { tagList, ...content }: Draft): Article {
  const { writer } = dbSession
  const article = writer.create(Article, {
    ...content,
    slug: newSlug(content.title),
    // The author may belong to the reader's session and stays there; the writer gets a reference of its own.
    author: writer.getReference(User, author.id),
    tags: tagList.map((name, position) => ({ name, position })),
  })
  // Nobody is told of an article that was rolled back.
  txn.addAfterCommitHook((committed) => {
    if (committed) app.emit('published', article.slug)
  })
  return article
}
