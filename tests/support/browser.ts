/** Debian's Chromium, without a window; where it is there, in the build that never opens one and takes half the time. */
import { accessSync, constants } from 'node:fs'
import process from 'node:process'
import { chromium, type Browser } from 'playwright-core'

const PLACES = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
]

/** @throws an error that says what to install */
export async function openBrowser(): Promise<Browser> {
  return await chromium.launch({ executablePath: executable(), args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}

function executable(): string {
  const found = places().find(canRun)
  if (found === undefined) throw new Error(obstacleToBrowser())
  return found
}

function places(): readonly string[] {
  const given = process.env['KOA_SQLASSIST_TEST_CHROMIUM']
  return given ? [given] : PLACES
}

/** What keeps the tests from opening a browser, and what to do, in one line; undefined where nothing does. */
export function obstacleToBrowser(): string | undefined {
  if (places().some(canRun)) return undefined
  return (
    `No Chromium at ${places().join(', ')}: some tests look at pages in a real browser. Install it, on Debian by apt-get ` +
    `install chromium-headless-shell, or name another one by KOA_SQLASSIST_TEST_CHROMIUM=/path/to/chromium, or run some of the ` +
    `tests: npx node scripts/test.ts tests/koa.`
  )
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
