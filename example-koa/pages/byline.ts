import type { Article } from '../entities/article.ts'
import { html, type Markup } from './html.ts'

const DATE = new Intl.DateTimeFormat('en', { dateStyle: 'long', timeZone: 'UTC' })

/** Who wrote it, when, and how often it was read. */
export function byline(article: Pick<Article, 'author' | 'createdAt' | 'views'>): Markup {
  const { author, createdAt, views } = article
  const [initial = ''] = author.username.trim()
  return html`<p class="byline">
    <span class="avatar" aria-hidden="true">${initial}</span>
    <span class="author">${author.username}</span>
    <time datetime="${createdAt.toISOString()}">${DATE.format(createdAt)}</time>
    <span>${views === 1 ? '1 view' : `${views} views`}</span>
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
