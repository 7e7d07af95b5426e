import { html, type Markup } from './html.ts'

export function signOutForm(): Markup {
  return html`<form method="post" action="/sign-out"><button class="quiet">Sign out</button></form>`
}
