import Router from '@koa/router'
import { forbidden, notFound } from '../api-error.ts'
import type { AppContext, AppState } from '../context.ts'
import { Article } from '../entities/article.ts'
import { Comment } from '../entities/comment.ts'
import { User } from '../entities/user.ts'
import { newComment } from '../input/comment-input.ts'
import { parse } from '../input/parse.ts'
import { signedInUser } from '../middleware/authenticate.ts'
import { commentJson } from '../output/comment-json.ts'
import { followedBy } from '../output/followed-by.ts'
import { findArticleId } from './find-article.ts'
import { commentIdOf } from './path.ts'

export function commentRoutes() {
  const router = new Router<AppState, AppContext>({ prefix: '/articles/:slug/comments' })

  router.get('/', async (ctx) => {
    const article = await findArticleId(ctx)
    const { reader } = ctx.dbSession
    const comments = await reader.find(
      Comment,
      { article },
      { populate: ['author'], orderBy: { createdAt: 'desc', id: 'desc' } },
    )
    const authors = comments.map(({ author }) => author)
    const followed = await followedBy(reader, ctx.state.user, authors)
    ctx.body = {
      comments: comments.map((comment) => commentJson(comment, comment.author, followed.has(comment.author.id))),
    }
  })

  router.post('/', async (ctx) => {
    const user = signedInUser(ctx)
    const article = await findArticleId(ctx)
    const { body } = parse(newComment, ctx.request.body, 'comment')
    const { reader, writer } = ctx.dbSession
    const comment = writer.create(Comment, {
      body,
      // Entities of the reader's session stay there; the writer gets references of its own.
      article: writer.getReference(Article, article),
      author: writer.getReference(User, user.id),
    })
    // The answer needs the id, which the database makes: so it is sent here, and committed at the end as ever.
    await writer.flush()
    const followed = await followedBy(reader, user, [user])
    ctx.body = { comment: commentJson(comment, user, followed.has(user.id)) }
  })

  router.delete('/:id', async (ctx) => {
    const user = signedInUser(ctx)
    const article = await findArticleId(ctx)
    const { writer } = ctx.dbSession
    const comment = await writer.findOne(Comment, { id: commentIdOf(ctx), article })
    if (!comment) throw notFound('comment')
    if (comment.author.id !== user.id) throw forbidden('comment')
    writer.remove(comment)
    ctx.status = 204
  })

  return router.routes()
}
