import type { Article } from '../entities/article.ts'
import { counted } from './counted.ts'
import { html, type Markup } from './html.ts'

const DATE = new Intl.DateTimeFormat('en', { dateStyle: 'long', timeZone: 'UTC' })

/** Who wrote it, when, how often it was read and how many like it. */
export function byline(article: Pick<Article, 'author' | 'createdAt' | 'views' | 'favoritesCount'>): Markup {
  const { author, createdAt, views, favoritesCount } = article
  const [initial = ''] = author.username.trim()
  return html`<p class="byline">
    <span class="avatar" aria-hidden="true">${initial}</span>
    <span class="author">${author.username}</span>
    <time datetime="${createdAt.toISOString()}">${DATE.format(createdAt)}</time>
    <span>${counted(views, 'view')}</span>
    <span>${counted(favoritesCount, 'favourite')}</span>
  </p>`
}

export function tagList(article: Pick<Article, 'tags'>): Markup {
  const tags = article.tags.map((tag) => html`<li>${tag.name}</li>`)
  return tags.length === 0
    ? html``
    : html`<ul class="tags">
        ${tags}
      </ul>`
}
