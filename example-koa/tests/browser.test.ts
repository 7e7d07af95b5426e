/** The example as a person meets it, in a real browser; pictures of it are left in tests/output where they are asked for. */
import type { Browser, Page } from 'playwright-core'
import * as assert from 'uvu/assert'
import { openBrowser } from '../../tests/support/browser.ts'
import { DIALECTS } from '../../tests/support/orms.ts'
import { picture } from '../../tests/support/picture.ts'
import { suite } from '../../tests/support/suite.ts'
import { openExample, type Example } from './example.ts'

interface World {
  example: Example
  browser: Browser
  page: Page
  /** What the browser complained about, such as something that the Content-Security-Policy forbids. */
  complaints: string[]
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`a person and the example on ${dialect}`)

  test.before(async (world) => {
    world.example = await openExample(dialect, { debugPanel: true })
    world.browser = await openBrowser()
    world.page = await world.browser.newPage({ baseURL: world.example.served.url })
    world.complaints = []
    world.page.on('console', (message) => {
      if (message.type() === 'error') world.complaints.push(message.text())
    })
  })
  test.after(async ({ example, browser }) => {
    await browser?.close()
    await example?.close()
  })

  const shoot = (page: Page, name: string) => picture(page, `example-${dialect}-${name}`)

  async function counts({ example: { look } }: World): Promise<number[]> {
    const tables = ['users', 'articles'].map((table) => look.value(`select count(*) from ${table}`))
    return (await Promise.all(tables)).map(Number)
  }

  async function write(page: Page, title: string): Promise<void> {
    await page.goto('/')
    await page.getByText('Write an article').click()
    await page.getByLabel('Title').fill(title)
    await page.getByLabel('Description').fill('Written in a browser')
    await page.getByLabel('Text').fill('It weaves algebraic patterns.')
    await page.getByLabel('Tags').fill('machines looms')
  }

  test('opens the front page, writes an article and reads it', async (world) => {
    const { page, complaints } = world
    await write(page, 'Notes on an engine')
    await page.getByLabel('Name').fill('ada')
    await page.getByLabel('E-mail').fill('ada@example.org')
    await page.getByLabel('Password').fill('a long secret')
    await shoot(page, 'writing')
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.waitForURL('**/article/notes-on-an-engine-*')
    await page.getByRole('heading', { name: 'Notes on an engine' }).waitFor()
    await shoot(page, 'article')
    assert.equal(await counts(world), [1, 1])
    await page.goto('/')
    await page.getByRole('link', { name: 'Notes on an engine' }).waitFor()
    await shoot(page, 'front')
    assert.equal(complaints, [])
  })

  test('provokes an error when everything is written, and sees that nothing was left', async (world) => {
    const { page, example } = world
    await write(page, 'Never to be read')
    await page.getByLabel('Let it fail').check()
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByText('Nothing of it was stored').waitFor()
    await shoot(page, 'error')
    assert.is(example.served.errors.pop()?.message, 'failed on purpose, when everything was written')
    assert.equal(await counts(world), [1, 1])
  })

  test('opens the debug panel on that request: what it wrote, why it aborted, and that it did', async (world) => {
    const { page, complaints } = world
    await page.getByRole('link', { name: /^sqlassist: \d+ statements/ }).click()
    await page.waitForURL('**/_sqlassist/requests/*')
    await page.getByText('failed on purpose, when everything was written').first().waitFor()
    const text = await page.locator('body').innerText()
    assert.match(text, /POST\s+\/articles/)
    assert.match(text, /aborted/i)
    assert.match(text, /insert into [`"]articles[`"]/)
    assert.match(text, /rollback/)
    await shoot(page, 'panel')
    // the browser itself tells of every answer that is an error
    assert.equal(
      complaints.filter((complaint) => !complaint.includes('status of 500')),
      [],
    )
    await page.goto('/')
    assert.is(await page.getByText('Never to be read').count(), 0)
  })

  test.run()
}
