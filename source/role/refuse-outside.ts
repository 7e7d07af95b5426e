import type { MikroORM } from '@mikro-orm/core'
import { connectionsOf } from '../database/connections-of.ts'
import { isConnecting } from './connecting.ts'
import { override } from './override.ts'
import { prepareFirst, preparedExecutors } from './prepared-executors.ts'

/**
 * Has each statement that an ORM sends over its own connections fail with what `refusal` makes; those of sessions come by
 * another way. Returns the step that undoes it.
 */
export function refuseOutside(orm: MikroORM<any, any, any>, refusal: () => Error): () => void {
  const undo: (() => void)[] = []
  for (const connection of connectionsOf(orm.driver)) {
    const prepare = (executor: object): void => {
      const provide = override(
        executor,
        'provideConnection',
        (original) =>
          async function (...args) {
            // What opens the connection comes by here as well.
            if (isConnecting(connection)) return await original.apply(this, args)
            throw refusal()
          },
      )
      undo.push(provide)
    }
    undo.push(...preparedExecutors(connection, prepare), override(connection, 'executeQuery', prepareFirst))
  }
  return () => {
    for (const step of undo.toReversed()) step()
  }
}
