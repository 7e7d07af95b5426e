import type { ArticleSummary } from '../entities/article.ts'
import { byline, tagList } from './byline.ts'
import { counted } from './counted.ts'
import { html, type Markup } from './html.ts'
import { layout } from './layout.ts'
import { signOutForm } from './sign-out-form.ts'
import { writeForm } from './write-form.ts'

export interface FrontPage {
  readonly articles: readonly ArticleSummary[]
  /** How many there are, of which the latest are shown. */
  readonly articlesCount: number
  /** Of who has signed in. */
  readonly username: string | undefined
}

export function frontPage({ articles, articlesCount, username }: FrontPage): string {
  return layout(
    'conduit',
    html`<h1>Latest articles</h1>
      ${writeForm(username)}
      <div class="bar">
        <p class="count">${counted(articlesCount, 'article')}</p>
        ${username === undefined ? '' : signOutForm()}
      </div>
      ${articles.length === 0 ? nothingYet() : articles.map(preview)}`,
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
  return html`<p class="empty">Nothing here yet. Write the first one.</p>`
}
