import { isExhausted } from '../database/pool-report.ts'
import { attachOrm } from '../role/attach-orm.ts'
import { ownContextName } from '../role/context-names.ts'
import type { Engine } from '../role/engine.ts'

/** Attaches the ORMs of `registry`. Returns the steps that undo it. */
export function attachEngines(registry: object, engines: Iterable<Engine>): (() => void)[] {
  // Names of the program come first, so that no name given here meets them.
  const inOrder = [...engines].toSorted((one, other) => named(other) - named(one))
  return inOrder.map((engine) => attach(registry, engine))
}

function attach(registry: object, engine: Engine): () => void {
  const { role, dialect, options } = engine
  const { orm, scoped, kind } = options
  return attachOrm(orm, {
    registry,
    role,
    scoped,
    kind,
    get database() {
      return engine.database
    },
    onlyConnection: dialect === 'sqlite',
    isExhausted: async () => isExhausted(await engine.pool()),
  })
}

function named({ options }: Engine): number {
  return ownContextName(options.orm) === undefined ? 0 : 1
}
