import type { MikroORM } from '@mikro-orm/core'
import { override } from './override.ts'

type AnyOrm = MikroORM<any, any, any>

/** The context name MikroORM gives an ORM that was not given one. */
const UNSET = 'default'

/** An ORM that registries use. */
interface Holder {
  /** Weak: an ORM that nobody keeps any more blocks no name. */
  readonly orm: WeakRef<AnyOrm>
  /** Whether the ORM was closed, which gives its name back. Its registry need not know. */
  closed: boolean
}

const holders = new Set<Holder>()
/** The names that this library gave. */
const given = new WeakMap<AnyOrm, string>()
/** How an ORM in use gives its name back, and takes one once more. */
const inUse = new WeakMap<AnyOrm, { giveBack(): void; reclaim(): void }>()

/** The context name that the program gave an ORM, if it gave one. */
export function ownContextName(orm: AnyOrm): string | undefined {
  const name: string = orm.config.get('contextName')
  return name === UNSET || name === given.get(orm) ? undefined : name
}

/** Gives the name of an ORM back whose pool was dropped, until it is used again. */
export function giveBackContextName(orm: AnyOrm): void {
  inUse.get(orm)?.giveBack()
}

/** Gives an ORM a name once more, ahead of the entity manager that is made with the name. */
export function reclaimContextName(orm: AnyOrm): void {
  inUse.get(orm)?.reclaim()
}

/**
 * Gives `orm` a context name that no other ORM in use has, unless the program gave it one: the role's name, with a number
 * if the name is taken. Two ORMs of one name would take each other's entity managers inside a transaction.
 * Returns the steps that give the name back.
 */
export function holdContextName(orm: AnyOrm, role: string): (() => void)[] {
  const holder: Holder = { orm: new WeakRef(orm), closed: false }
  const isNamed = ownContextName(orm) !== undefined
  const takeName = (): void => {
    if (!isNamed) giveName(orm, freeName(role, holder))
    holder.closed = false
  }
  const giveBack = (): void => {
    if (!isNamed) giveName(orm, UNSET)
  }
  const reclaim = (): void => {
    if (holder.closed) takeName()
  }
  takeName()
  holders.add(holder)
  const leave = (): void => {
    giveBack()
    holder.closed = true
  }
  inUse.set(orm, { giveBack: leave, reclaim })
  const connection = orm.driver.getConnection('write')
  return [
    () => {
      holders.delete(holder)
      inUse.delete(orm)
      giveBack()
    },
    override(
      connection,
      'close',
      (original) =>
        async function (...args) {
          await original.apply(this, args)
          holder.closed = true
        },
    ),
    override(
      connection,
      'connect',
      (original) =>
        async function (...args) {
          reclaim()
          return await original.apply(this, args)
        },
    ),
  ]
}

function freeName(role: string, asker: Holder): string {
  const taken = namesHeld(asker)
  let name = role
  for (let number = 2; taken.has(name); number++) name = `${role}${number}`
  return name
}

function namesHeld(asker: Holder): Set<string> {
  const names = new Set<string>()
  for (const holder of holders) {
    const orm = holder.orm.deref()
    if (orm === undefined) holders.delete(holder)
    else if (holder !== asker && !holder.closed) names.add(orm.config.get('contextName'))
  }
  return names
}

function giveName(orm: AnyOrm, name: string): void {
  given.set(orm, name)
  orm.config.set('contextName', name)
  ;(orm.em as { name: string }).name = name
}
