import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'

/** Installs a package of Debian's where `file` of it is missing. @throws where that cannot be done, with what to do */
export function installFromDebian(name: string, file: string): void {
  if (existsSync(file)) return
  const command = ['install', '-y', '-qq', '--no-install-recommends', name]
  const cure = `${file} is missing: apt-get ${command.join(' ')}`
  if (process.getuid?.() !== 0) throw new Error(cure)
  try {
    const options = { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } } as const
    execFileSync('apt-get', ['update', '-qq'], options)
    execFileSync('apt-get', command, options)
  } catch (error) {
    throw new Error(cure, { cause: error })
  }
  if (!existsSync(file)) throw new Error(cure)
}
