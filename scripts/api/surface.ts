/** What the package exports, read from its declarations by the compiler that wrote them. */
import { join } from 'node:path'
import { API, SymbolFlags, type InterfaceType, type Project, type Symbol } from 'typescript/unstable/sync'

export interface Documented {
  readonly name: string
  /** As the declarations have it, each overload a line of its own; of a class or an interface, only its head. */
  readonly declaration: string
  /** Its docstring; empty where there is none. */
  readonly text: string
  readonly tags: readonly { readonly name: string; readonly text: string }[]
}

export const KINDS = ['function', 'class', 'interface', 'type', 'constant', 'error'] as const

export interface Exported extends Documented {
  readonly kind: (typeof KINDS)[number]
  /** Of classes and interfaces, those of their own. */
  readonly members: readonly Documented[]
}

const MEMBERS = SymbolFlags.Property | SymbolFlags.Method | SymbolFlags.Accessor | SymbolFlags.Constructor

/** The exports of each of `entries`, which are paths of declarations within `folder`. */
export function surfaceOf(folder: string, entries: readonly string[]): Exported[][] {
  const config = join(folder, 'tsconfig.json')
  const compilerOptions = { module: 'nodenext', target: 'es2024', strict: true, skipLibCheck: true, types: ['node'] }
  const api = new API({
    cwd: folder,
    fs: {
      fileExists: (file) => file === config || undefined,
      readFile: (file) => (file === config ? JSON.stringify({ compilerOptions, files: entries }) : undefined),
    },
  })
  try {
    const [project] = api.updateSnapshot({ openProjects: [config] }).getProjects()
    if (project === undefined) throw new Error(`nothing to read in ${folder}`)
    return entries.map((entry) => exportsOf(project, join(folder, entry)))
  } finally {
    api.close()
  }
}

function exportsOf(project: Project, file: string): Exported[] {
  const { program, checker } = project
  const source = program.getSourceFile(file)
  const module = source && checker.getSymbolAtLocation(source)
  if (module === undefined) throw new Error(`${file} is not there, or exports nothing`)
  const exported = checker
    .getExportsOfModule(module)
    .map((symbol) => (symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
  return exported
    .map((symbol) => {
      const kind = kindOf(symbol)
      const text = declarationOf(project, symbol)
      const isBlock = kind === 'class' || kind === 'interface' || kind === 'error'
      const declaration = isBlock ? text.slice(0, text.indexOf(' {\n')) : text
      return { ...documented(project, symbol), declaration, kind, members: membersOf(project, exported, symbol, kind) }
    })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

function membersOf(
  project: Project,
  exported: readonly Symbol[],
  symbol: Symbol,
  kind: Exported['kind'],
): Documented[] {
  if (kind === 'type' || kind === 'function' || kind === 'constant') return []
  const own = [...symbol.getMembers().values()]
  const members = kind === 'interface' ? [...own, ...hiddenMembers(project.checker, exported, symbol)] : own
  return members
    .filter(({ flags, name }) => flags & MEMBERS && !name.includes('#'))
    .filter(({ name }) => !(kind === 'error' && name === '__constructor'))
    .map((member) => documented(project, member))
}

/** What an interface has from others that are not exported, and so have no place of their own. */
function hiddenMembers(checker: Project['checker'], exported: readonly Symbol[], symbol: Symbol): Symbol[] {
  const own = symbol.getMembers()
  return checker
    .getBaseTypes(checker.getDeclaredTypeOfSymbol(symbol) as InterfaceType)
    .map((base) => base.getSymbol())
    .filter((base) => base !== undefined && !exported.includes(base))
    .flatMap((base) => [...(base as Symbol).getMembers().values(), ...hiddenMembers(checker, exported, base as Symbol)])
    .filter(({ name }) => ![...own.values()].some((member) => member.name === name))
}

function documented(project: Project, symbol: Symbol): Documented {
  const { checker } = project
  return {
    name: symbol.name === '__constructor' ? 'constructor' : symbol.name,
    declaration: declarationOf(project, symbol),
    text: symbol.getDocumentationComment(checker),
    tags: symbol.getJsDocTags(checker).map(({ name, text = '' }) => ({ name, text })),
  }
}

function declarationOf(project: Project, symbol: Symbol): string {
  return symbol.declarations
    .map((declaration) => declaration.resolve(project)?.getText() ?? '')
    .map((text) => text.replace(/^export (?:declare )?/, '').replace(/;$/, ''))
    .join('\n')
}

function kindOf({ flags, name }: Symbol): Exported['kind'] {
  if (flags & SymbolFlags.Class) return name.endsWith('Error') ? 'error' : 'class'
  if (flags & SymbolFlags.Function) return 'function'
  if (flags & SymbolFlags.Interface) return 'interface'
  return flags & SymbolFlags.TypeAlias ? 'type' : 'constant'
}
