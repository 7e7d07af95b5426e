import { mkdirSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'

const OUTPUT = fileURLToPath(new URL('../output/', import.meta.url))

/** Leaves a picture of the page in tests/output, where KOA_SQLASSIST_TEST_PICTURES is set: each takes a second. */
export async function picture(page: Page, name: string, fullPage = true): Promise<void> {
  if (process.env['KOA_SQLASSIST_TEST_PICTURES'] === undefined) return
  mkdirSync(OUTPUT, { recursive: true })
  await page.screenshot({ path: `${OUTPUT}${name}.png`, fullPage })
}
