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
  const given = process.env['KOA_SQLASSIST_TEST_CHROMIUM']
  const found = (given ? [given] : PLACES).find(canRun)
  if (found !== undefined) return found
  throw new Error(
    `No Chromium at ${given ?? PLACES.join(', ')}: some tests look at pages in a real browser. Install it, on Debian ` +
      'by apt-get install chromium-headless-shell, or name another one by KOA_SQLASSIST_TEST_CHROMIUM=/path/to/chromium.',
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
