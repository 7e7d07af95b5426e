import type { Profiler } from 'node:inspector'
import { readFileSync } from 'node:fs'
import { SourceMap, type SourceMapPayload } from 'node:module'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Share {
  readonly name: string
  /** Microseconds of a request, without its calls of others. */
  readonly micros: number
}

export interface ProfileSummary {
  /** All microseconds of a request but idle time. */
  readonly micros: number
  readonly packages: readonly Share[]
  /** The same, with what Node and the engine do counted to the package that has it done. */
  readonly callers: readonly Share[]
  readonly functions: readonly (Share & { readonly package: string })[]
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Where the time of a profile over so many requests went: self time, by package and by function. */
export function summarize(profile: Profiler.Profile, requests: number): ProfileSummary {
  const micros = selfTimes(profile)
  const [packages, callers] = [new Map<string, number>(), new Map<string, number>()]
  const callerOf = callersIn(profile)
  const functions = new Map<string, { name: string; package: string; micros: number }>()
  const sources = new Sources()
  for (const { id, callFrame } of profile.nodes) {
    const time = (micros.get(id) ?? 0) / requests
    if (time === 0 || callFrame.functionName === '(idle)') continue
    const from = packageOf(callFrame)
    add(packages, from, time)
    add(callers, callerOf(id), time)
    const name = `${callFrame.functionName || '(anonymous)'}  ${sources.placeOf(callFrame)}`.trim()
    const known = functions.get(name) ?? { name, package: from, micros: 0 }
    known.micros += time
    functions.set(name, known)
  }
  return {
    micros: packages.values().reduce((sum, each) => sum + each, 0),
    packages: sharesOf(packages),
    callers: sharesOf(callers),
    functions: bySize([...functions.values()]),
  }
}

export function profileTable({ micros, packages, callers, functions }: ProfileSummary, top = 40): string {
  const line = (share: Share, more = ''): string =>
    `  ${share.micros.toFixed(1).padStart(8)} µs ${((share.micros / micros) * 100).toFixed(1).padStart(5)} %  ${more}${share.name}\n`
  const width = Math.max(...packages.map(({ name }) => name.length))
  return (
    `${line({ name: 'of the processor for each request', micros })}\n` +
    `${packages.map((share) => line(share)).join('')}\n` +
    `  with what Node does for it\n${callers.map((share) => line(share)).join('')}\n` +
    functions
      .slice(0, top)
      .map((share) => line(share, `${share.package.padEnd(width)}  `))
      .join('')
  )
}

/** By node. A sample belongs to the node that ran until the next one. */
function selfTimes({ samples = [], timeDeltas = [] }: Profiler.Profile): Map<number, number> {
  const times = new Map<number, number>()
  for (const [index, node] of samples.entries()) {
    times.set(node, (times.get(node) ?? 0) + (timeDeltas[index + 1] ?? 0))
  }
  return times
}

function packageOf({ url, functionName }: Profiler.Profile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName === '(garbage collector)' ? 'garbage collector' : 'native'
  if (url.startsWith('node:')) return 'node'
  const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? []
  if (name !== undefined) return name
  return url.includes('/dist/') ? 'koa-sqlassist' : 'bench'
}

/** By node: its package, or the nearest one on the way up that has Node or the engine do this. */
function callersIn({ nodes }: Profiler.Profile): (id: number) => string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)))
  return (id) => {
    const own = packageOf(frames.get(id)!)
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const from = packageOf(frames.get(at)!)
      if (!['native', 'node', 'garbage collector'].includes(from)) return from
    }
    return own
  }
}

function add(times: Map<string, number>, name: string, time: number): void {
  times.set(name, (times.get(name) ?? 0) + time)
}

function sharesOf(times: ReadonlyMap<string, number>): Share[] {
  return bySize([...times].map(([name, micros]) => ({ name, micros })))
}

function bySize<T extends Share>(shares: readonly T[]): T[] {
  return shares.toSorted((left, right) => right.micros - left.micros)
}

/** Finds what was written in what was built. */
class Sources {
  readonly #maps = new Map<string, SourceMap | undefined>()

  placeOf({ url, lineNumber, columnNumber }: Profiler.Profile['nodes'][number]['callFrame']): string {
    if (!url.startsWith('file:')) return url
    if (!this.#maps.has(url)) this.#maps.set(url, sourceMapOf(url))
    const entry = this.#maps.get(url)?.findEntry(lineNumber, columnNumber)
    const [source, line] =
      entry !== undefined && 'originalSource' in entry
        ? [new URL(entry.originalSource, url).href, entry.originalLine]
        : [url, lineNumber]
    return `${relative(ROOT, fileURLToPath(source)).replace(/^node_modules\//, '')}:${line + 1}`
  }
}

function sourceMapOf(url: string): SourceMap | undefined {
  if (!url.includes('/dist/') || url.includes('/node_modules/')) return undefined
  return new SourceMap(JSON.parse(readFileSync(fileURLToPath(`${url}.map`), 'utf8')) as SourceMapPayload)
}
