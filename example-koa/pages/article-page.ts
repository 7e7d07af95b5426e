import type { Article } from '../entities/article.ts'
import type { Comment } from '../entities/comment.ts'
import { byline, tagList } from './byline.ts'
import { html, type Markup } from './html.ts'
import { layout } from './layout.ts'

export function articlePage(article: Article, comments: readonly Comment[]): string {
  return layout(
    article.title,
    html`<article class="full">
        <h1>${article.title}</h1>
        ${byline(article)}
        <div class="body">${article.body}</div>
        ${tagList(article)}
      </article>
      <section class="comments" aria-label="Comments">${comments.map(remark)}</section>`,
  )
}

function remark(comment: Comment): Markup {
  return html`<blockquote>
    <div class="body">${comment.body}</div>
    <footer>${comment.author.username}</footer>
  </blockquote>`
}
