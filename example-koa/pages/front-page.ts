import type { ArticleSummary } from '../entities/article.ts'
import { byline, tagList } from './byline.ts'
import { html, type Markup } from './html.ts'
import { layout } from './layout.ts'

export function frontPage(articles: readonly ArticleSummary[]): string {
  const list = articles.length === 0 ? nothingYet() : articles.map(preview)
  return layout(
    'conduit',
    html`<h1>Latest articles</h1>
      ${list}`,
  )
}

function preview(article: ArticleSummary): Markup {
  return html`<article class="preview">
    ${byline(article)}
    <h2><a href="/article/${article.slug}">${article.title}</a></h2>
    <p class="description">${article.description}</p>
    ${tagList(article)}
  </article>`
}

function nothingYet(): Markup {
  return html`<p class="empty">Nothing here yet. Write the first one: <code>POST /api/articles</code>.</p>`
}
