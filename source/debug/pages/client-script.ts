/** The script of every page: theme, live events, filters, keys. Pages work without it. */
export const CLIENT_SCRIPT = `'use strict'
{
const root = document.documentElement
const THEMES = ['system', 'light', 'dark']
const stored = (name) => { try { return localStorage.getItem('sqlassist-' + name) } catch { return null } }
const store = (name, value) => { try { localStorage.setItem('sqlassist-' + name, value) } catch {} }

// Theme: set before anything is shown.
let theme = THEMES.includes(stored('theme')) ? stored('theme') : 'system'
function showTheme() {
  if (theme === 'system') root.removeAttribute('data-theme')
  else root.dataset.theme = theme
  for (const name of document.querySelectorAll('[data-theme-name]')) name.textContent = theme
}
function nextTheme() {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]
  store('theme', theme)
  showTheme()
}
showTheme()

// Replaces the page by the server's, and keeps the reader's own changes: open details, focus, filters.
const KEPT = new Set(['open', 'hidden', 'aria-pressed', 'data-state'])
function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) return from.replaceWith(to)
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data
    return
  }
  if (from.dataset.keep !== undefined) return
  for (const { name } of [...from.attributes]) if (!KEPT.has(name) && !to.hasAttribute(name)) from.removeAttribute(name)
  for (const { name, value } of to.attributes) {
    if (!KEPT.has(name) && from.getAttribute(name) !== value) from.setAttribute(name, value)
  }
  const keyed = new Map([...from.children].filter((child) => child.dataset.key).map((child) => [child.dataset.key, child]))
  let cursor = from.firstChild
  for (const next of [...to.childNodes]) {
    const key = next.dataset?.key
    const match = key ? keyed.get(key) : cursor?.dataset?.key ? undefined : cursor
    if (!match) from.insertBefore(next, cursor)
    else {
      if (match === cursor) cursor = cursor.nextSibling
      else from.insertBefore(match, cursor)
      morph(match, next)
    }
  }
  while (cursor) {
    const rest = cursor
    cursor = cursor.nextSibling
    rest.remove()
  }
}

addEventListener('DOMContentLoaded', () => {
  showTheme()
  const { base, follows } = document.body.dataset
  const live = document.querySelector('.live')
  const showLive = (state, text) => {
    live.dataset.live = state
    live.textContent = text
  }

  // News for a screen reader, gathered: requests may come faster than they can be read out.
  const NEWS_MS = 1500
  const news = document.querySelector('[data-news]')
  let newRequests = 0
  let latestNews
  let telling
  function announce(text) {
    latestNews = text
    telling ??= setTimeout(() => {
      telling = undefined
      news.textContent = latestNews()
    }, NEWS_MS)
  }
  const keysShown = () => new Set([...document.querySelectorAll('.request')].map((request) => request.dataset.key))
  const verdictShown = () => [...document.querySelectorAll('.verdict-text')].at(-1)?.textContent

  // Filters: all words have to match, and one of the tags.
  function applyFilters() {
    const inWords = []
    for (const box of document.querySelectorAll('input[data-filter]')) {
      const name = box.dataset.filter
      const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean)
      const group = box.closest('.toolbar, .card-head')
      const tags = [...group.querySelectorAll('[data-tag][aria-pressed="true"]')].map((chip) => chip.dataset.tag)
      let shown = 0
      const items = document.querySelectorAll('[data-item="' + name + '"]')
      for (const item of items) {
        const text = item.textContent.toLowerCase()
        const has = item.dataset.tags.split(' ')
        const matches = words.every((word) => text.includes(word)) && (tags.length === 0 || tags.some((tag) => has.includes(tag)))
        item.hidden = !matches
        if (matches) shown += 1
      }
      inWords.push(shown + ' of ' + items.length)
      const none = (group.closest('.card') ?? document).querySelector('[data-none]')
      if (none) none.hidden = shown > 0 || items.length === 0
    }
    return inWords.join(', ') + ' shown'
  }
  function filter() {
    const shown = applyFilters()
    announce(() => shown)
  }
  document.addEventListener('input', (event) => {
    if (event.target.matches('input[data-filter]')) filter()
  })

  function newRequestsInWords() {
    const text = newRequests === 1 ? '1 new request' : newRequests + ' new requests'
    newRequests = 0
    return text
  }

  // Live: loads changes again, one load at a time.
  let loading = false
  let again = false
  let paused = false
  async function load() {
    if (loading) return void (again = true)
    loading = true
    try {
      const url = new URL(location.href)
      url.searchParams.set('live', '1')
      const response = await fetch(url, { headers: { accept: 'text/html' } })
      if (response.status === 404) showLive('lost', 'no longer kept')
      if (!response.ok || paused) return
      const page = new DOMParser().parseFromString(await response.text(), 'text/html')
      const keysBefore = keysShown()
      const verdictBefore = verdictShown()
      morph(document.querySelector('main'), page.querySelector('main'))
      applyFilters()
      newRequests += [...keysShown()].filter((key) => !keysBefore.has(key)).length
      if (newRequests > 0) announce(newRequestsInWords)
      if (verdictShown() !== verdictBefore) announce(verdictShown)
    } catch {
      showLive('lost', 'connection lost')
    } finally {
      loading = false
      if (again) {
        again = false
        void load()
      }
    }
  }
  if (follows) {
    const events = new EventSource(base + '/events')
    let wasOpen = false
    events.addEventListener('open', () => {
      if (!paused) showLive('on', 'live')
      // Something may have changed between the page and here.
      if (!paused) void load()
      wasOpen = true
    })
    events.addEventListener('error', () => showLive('lost', wasOpen ? 'connection lost' : 'not live'))
    events.addEventListener('changed', (event) => {
      const { ids } = JSON.parse(event.data)
      if (!paused && (follows === 'all' || ids.includes(follows))) void load()
    })
    addEventListener('pagehide', () => events.close())
    addEventListener('pageshow', (event) => { if (event.persisted) location.reload() })
  }

  // Buttons
  const actions = {
    theme: nextTheme,
    keys() {
      hasKeys = !hasKeys
      store('keys', hasKeys ? 'on' : 'off')
      showKeys()
    },
    pause(button) {
      paused = !paused
      button.setAttribute('aria-pressed', String(paused))
      showLive(paused ? 'paused' : 'on', paused ? 'paused' : 'live')
      if (!paused) void load()
    },
    async copy(button) {
      const text = button.parentElement.querySelector('pre').textContent
      try {
        await navigator.clipboard.writeText(text)
        button.textContent = 'Copied'
      } catch {
        getSelection().selectAllChildren(button.parentElement.querySelector('pre'))
        button.textContent = 'Selected'
      }
      setTimeout(() => (button.textContent = 'Copy'), 1500)
    },
  }
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button')
    if (!button) return
    if (button.dataset.do) actions[button.dataset.do](button)
    if (button.dataset.tag) {
      button.setAttribute('aria-pressed', String(button.getAttribute('aria-pressed') !== 'true'))
      filter()
    }
  })

  // Keys of one letter, which can be switched off: a program that types what is spoken would press them.
  let hasKeys = stored('keys') !== 'off'
  function showKeys() {
    for (const state of document.querySelectorAll('[data-keys]')) state.textContent = hasKeys ? 'on' : 'off'
  }
  showKeys()
  function move(step) {
    const stops = [...document.querySelectorAll('.request:not([hidden]) .cover, .row:not([hidden]) > details > summary')]
    const at = stops.indexOf(document.activeElement)
    const next = stops[at === -1 ? (step > 0 ? 0 : stops.length - 1) : at + step]
    next?.focus()
  }
  const keys = {
    '/': () => document.querySelector('input[data-filter]')?.focus(),
    j: () => move(1),
    k: () => move(-1),
    t: nextTheme,
    b: () => document.querySelector('[data-back]')?.click(),
  }
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.target.matches('input')) {
      if (event.key === 'Escape') {
        event.target.value = ''
        applyFilters()
        event.target.blur()
      }
      return
    }
    const action = hasKeys && keys[event.key]
    if (!action) return
    event.preventDefault()
    action()
  })
  applyFilters()
})
}
`
