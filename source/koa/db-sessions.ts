import type { Context, DefaultState, Middleware } from 'koa'
import type { DbSessionsContainer, Engines } from '../unit/db-sessions-container.ts'
import { EngineRegistry } from '../registry/engine-registry.ts'
import { runAttempts, runInUnit } from '../unit/run-in-unit.ts'
import type { UnitOfWorkOptions } from '../unit/unit-host.ts'
import type { UnitPositions } from '../unit/positions.ts'
import type { UnitOfWork } from '../unit/unit-of-work.ts'
import type { Transaction, TransactionManager } from '../transaction/index.ts'
import { AttemptState } from './attempt-state.ts'
import { ContextUnits } from './context-units.ts'
import { resolveDbSessionsOptions, type DbSessionsOptions } from './db-sessions-options.ts'
import { DisconnectWatch } from './disconnect.ts'
import { AnsweredTooEarlyError, ClientDisconnectedError } from './errors.ts'
import { CarriedPositions } from './position-carrier.ts'
import { hasResponse } from './response-end.ts'
import { isStreamed, StreamedBody } from './streamed-body.ts'

/** Properties that `dbSessions` puts on ctx. */
export type DbSessionsContext<
  E extends Engines = Engines,
  Property extends string = 'dbSession',
  Sessions = DbSessionsContainer<E>,
> = {
  /** The sessions of this request, one for each role. */
  readonly [P in Property]: Sessions
} & {
  /** The transaction manager of this request, or of this attempt at it. @throws UnitOfWorkEndedError after the end */
  readonly tm: TransactionManager
  /** The current transaction. @throws NoTransactionError when the handler ended it and began no other; UnitOfWorkEndedError */
  readonly txn: Transaction
}

type Next = () => Promise<unknown>

/**
 * A middleware that gives each request its sessions and one transaction over them.
 *
 * When the handler returns, the transaction commits; doomed or vetoed, it aborts. When the handler throws, the transaction
 * aborts and the same error is thrown on. When the client goes away before, running statements are cancelled and the
 * transaction aborts. All of this is over before the response is written; a read-only session stays open while a streamed
 * body may read from it. A request that opens no session sends nothing to any database.
 *
 * With `downstream` the handler is that middleware instead of the rest of the application. `attempts` may run it again, in a
 * new transaction, after an error worth retrying. An attempt that reads the body of the request once more ends at once, in a
 * NotRetriedError. Code that reads from ctx gets the sessions of the attempt it was called in.
 *
 * Mounted twice over one registry, the inner one steps aside: it offers the same sessions as its own `property`, and runs
 * its `downstream` once. Over another registry it gives sessions and a transaction of its own, which end before the outer
 * ones; `ctx.tm` and `ctx.txn` are those of the innermost one that the code is in.
 *
 * @param engines a MikroORM instance or options for each role, or an {@link EngineRegistry} of them
 * @throws ConfigurationError, at once, for engines or options that cannot work
 */
export function dbSessions<
  const E extends Engines,
  Property extends string = 'dbSession',
  Sessions extends object = DbSessionsContainer<E>,
>(
  engines: E | EngineRegistry<E, Sessions>,
  options: DbSessionsOptions<Property> = {},
  downstream?: Middleware<any, any>,
): Middleware<DefaultState, DbSessionsContext<E, Property, Sessions>> {
  const registry = engines instanceof EngineRegistry ? engines : new EngineRegistry<E, Sessions>(engines)
  const resolved = resolveDbSessionsOptions(options, registry, downstream !== undefined)
  const { property, activate, manager, annotate, anyPreference, disableTransaction, attempts } = resolved
  const { commitVeto, abortOnDisconnect } = resolved
  const carried = new CarriedPositions(resolved.carrier, registry)
  const note = annotate === undefined ? methodAndPath : undefined

  /** Runs the handler and decides between commit and abort. Throws the error that answers the client. */
  async function handle(ctx: Context, unit: UnitOfWork, watch: DisconnectWatch | undefined, next: Next): Promise<void> {
    ContextUnits.offer(ctx, property, unit)
    watch?.start(unit)
    try {
      if (annotate !== undefined) await annotate(ctx, unit.tm.get())
      await next()
      watch?.look()
      if (watch?.disconnected === true && !unit.isSettled) throw watch.error()
      readByBody(ctx, unit)
      if (answeredTooEarly(ctx)) return await abandon(ctx, unit)
      if (unit.transaction()?.isDoomed() === true) return await unit.abort('doomed')
      const veto = commitVeto?.(ctx) ?? false
      if (veto !== false && (await veto)) return await unit.abort('vetoed')
    } catch (error) {
      readByBody(ctx, unit)
      if (watch?.disconnected !== true || error instanceof ClientDisconnectedError) throw error
      throw watch.error(error)
    } finally {
      watch?.stop()
    }
  }

  function dbSessionsMiddleware(ctx: Context, next: Next): Promise<unknown> {
    return activate === undefined ? withSessions(ctx, next) : whereActive(ctx, next, activate)
  }

  async function whereActive(ctx: Context, next: Next, isActive: NonNullable<typeof activate>): Promise<unknown> {
    return await ((await isActive(ctx)) ? withSessions(ctx, next) : handlerOf(ctx, next))
  }

  /** Runs what answers the request, once. */
  function handlerOf(ctx: Context, next: Next): Promise<unknown> {
    return downstream === undefined ? next() : Promise.resolve(downstream(ctx, next))
  }

  function watchOf(ctx: Context): DisconnectWatch | undefined {
    return abortOnDisconnect && hasResponse(ctx) ? new DisconnectWatch(ctx) : undefined
  }

  function unitOptions(
    ctx: Context,
    observer: DisconnectWatch | undefined,
    positions: UnitPositions | undefined,
  ): UnitOfWorkOptions {
    return { owner: ctx, anyPreference, disableTransaction, note, manager: manager?.(ctx), observer, positions }
  }

  function withSessions(ctx: Context, next: Next): Promise<unknown> {
    const around = ContextUnits.of(ctx)?.open(registry)
    if (around !== undefined) return inside(around, ctx, next)
    if (downstream !== undefined) return inAttempts(ctx, next, downstream)
    const watch = watchOf(ctx)
    const positions = carried.of(ctx)
    const unit = registry.start(unitOptions(ctx, watch, positions))
    return carried.after(
      ctx,
      positions,
      runInUnit(unit, () => handle(ctx, unit, watch, next)),
    )
  }

  /** Steps aside for another of the same registry, whose unit is open. */
  function inside(around: UnitOfWork, ctx: Context, next: Next): Promise<unknown> {
    ContextUnits.offer(ctx, property, around)
    return handlerOf(ctx, next)
  }

  async function inAttempts(ctx: Context, next: Next, handler: Middleware<any, any>): Promise<void> {
    const state = new AttemptState(ctx)
    let watch: DisconnectWatch | undefined
    let started: UnitOfWork | undefined
    const answer = async (): Promise<void> => void (await handler(ctx, () => state.passOn(next)))
    const positions = carried.of(ctx)
    const obstacle = (): string | undefined => state.obstacle() ?? storedInside(ctx, started)
    const attempting = runAttempts({
      start: (attempt) => {
        watch = watchOf(ctx)
        started = registry.start({
          ...unitOptions(ctx, watch, positions),
          attempt,
          mayRetry: attempt < attempts,
          obstacle,
        })
        return started
      },
      work: (unit) => handle(ctx, unit, watch, () => state.attempt(answer)),
      again: (error) => state.restore(error),
    })
    await carried.after(ctx, positions, attempting)
  }
  return dbSessionsMiddleware as Middleware<DefaultState, any>
}

/** Says which unit of another registry, inside of `unit`, has stored something. */
function storedInside(ctx: Context, unit: UnitOfWork | undefined): string | undefined {
  const [property] = (unit && ContextUnits.of(ctx)?.storedIn(unit)) ?? []
  return property && `what ctx.${property} wrote is committed already, by the dbSessions of another registry`
}

function methodAndPath(ctx: Context): string {
  return `${ctx.method} ${ctx.path}`
}

/** Lets a streamed body read from the unit's sessions: Koa reads it after the unit has ended. */
function readByBody(ctx: Context, unit: UnitOfWork): void {
  if (isStreamed(ctx.body) && hasResponse(ctx)) unit.readBy(new StreamedBody(ctx))
}

/** Whether Koa has answered already: it does when the outermost middleware is done, without waiting for this one. */
function answeredTooEarly(ctx: Context): boolean {
  return hasResponse(ctx) && ctx.res.writableEnded && ctx.respond !== false
}

/** Aborts the unit. Emits the error where Koa's errors go: nobody waits for this middleware any more. */
async function abandon(ctx: Context, unit: UnitOfWork): Promise<void> {
  const error = new AnsweredTooEarlyError(ctx.method, ctx.path)
  await unit.abortBecauseOf(error)
  process.emitWarning(error.message, { code: error.code })
  ctx.app.emit('error', error, ctx)
}
