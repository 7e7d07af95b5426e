import type { Context } from 'koa'
import type { EngineRegistry } from '../registry/engine-registry.ts'
import { ConfigurationError } from '../role/errors.ts'
import { report } from '../transaction/warnings.ts'
import {
  dropAsSent,
  formatPositions,
  positionsFromOutside,
  UnitPositions,
  unknownPositions,
  type PositionsByRole,
} from '../unit/positions.ts'
import { seal, unseal } from './seal.ts'

/**
 * Brings the position of a client's commits from one request to the next, so that replicas show them: by a cookie or a header, or
 * a store of your own.
 */
export interface PositionCarrier {
  /** Returns what was last written for the client of `ctx`. What it throws counts as a commit that was made just now. */
  read(ctx: Context): string | undefined | Promise<string | undefined>
  /** Keeps `position` for `maxAgeMs`, before the response leaves. What it throws is reported, and the response goes out. */
  write(ctx: Context, position: string, maxAgeMs: number): void | Promise<void>
}

/** `true`: a cookie; `false`: none, each request for itself; else a {@link PositionCarrier}. */
export type ReadYourWrites = boolean | PositionCarrier

const COOKIE = 'sqlassist_position'
/** A cookie ends by the clock of the client, and in whole seconds; one that is too old is harmless. */
const LONGER_MS = 60_000

/** The cookie `sqlassist_position`; sealed where the application has keys. Sessions at another property have another one. */
function cookieOf(property: string): PositionCarrier {
  const name = property === 'dbSession' ? COOKIE : `${COOKIE}_${encodeURIComponent(property)}`
  return sealed({
    read: (ctx) => ctx.cookies.get(name, { signed: false }),
    write: (ctx, position, maxAgeMs) =>
      void ctx.cookies.set(name, position, {
        httpOnly: true,
        sameSite: 'lax',
        path: '/',
        maxAge: maxAgeMs + LONGER_MS,
        signed: false,
        overwrite: true,
      }),
  })
}

/** Those whose text a client gets, and may change. */
const sealing = new WeakSet<PositionCarrier>()

function sealed(carrier: PositionCarrier): PositionCarrier {
  sealing.add(carrier)
  return carrier
}

/**
 * For API clients without cookies: the position stands in that header of the response, and the client sends it back in the same
 * header. Sealed where the application has keys.
 */
export function positionHeader(name: string): PositionCarrier {
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name)) {
    throw new ConfigurationError(`positionHeader() was given ${JSON.stringify(name)}, which is no name of a header.`)
  }
  return sealed({ read: (ctx) => ctx.get(name), write: (ctx, position) => ctx.set(name, position) })
}

/** For the sessions at `property` of ctx. @throws ConfigurationError */
export function carrierOf(readYourWrites: unknown, property: string): PositionCarrier | undefined {
  if (readYourWrites === undefined || readYourWrites === true) return cookieOf(property)
  if (readYourWrites === false) return undefined
  const { read, write } = (readYourWrites ?? {}) as Partial<PositionCarrier>
  if (typeof read === 'function' && typeof write === 'function') return readYourWrites as PositionCarrier
  throw new ConfigurationError(
    `readYourWrites is no carrier of positions. It can be true, false, positionHeader('x-position'), or { read, write }.`,
  )
}

/** What one registry's requests bring along. */
export class CarriedPositions {
  readonly #carrier: PositionCarrier | undefined
  readonly #registry: EngineRegistry<any, any>

  constructor(carrier: PositionCarrier | undefined, registry: EngineRegistry<any, any>) {
    this.#carrier = carrier
    this.#registry = registry
  }

  /** Undefined where no role reads from replicas. */
  of(ctx: Context): UnitPositions | undefined {
    if (this.#registry.longestLagMs === 0) return undefined
    const carrier = this.#carrier
    return new UnitPositions(carrier && (() => this.#read(ctx, carrier)))
  }

  #read(ctx: Context, carrier: PositionCarrier): PositionsByRole | Promise<PositionsByRole> {
    try {
      const text: unknown = carrier.read(ctx)
      return typeof text === 'object' && text !== null
        ? Promise.resolve(text)
            .then((found) => this.#parse(ctx, carrier, found))
            .catch((error: unknown) => this.#asIfJustNow(error))
        : this.#parse(ctx, carrier, text)
    } catch (error) {
      return this.#asIfJustNow(error)
    }
  }

  #parse(ctx: Context, carrier: PositionCarrier, text: unknown): PositionsByRole {
    // A store may have another word for nothing.
    if (text === undefined || text === null || text === '') return positionsFromOutside(undefined, this.#registry.names)
    if (typeof text !== 'string') throw new TypeError(`read() of readYourWrites gave a ${typeof text}, and no text`)
    if (!sealing.has(carrier)) return positionsFromOutside(text, this.#registry.names)
    return positionsFromOutside(unseal(ctx, text) ?? '?', this.#registry.names)
  }

  /** Nobody knows what the client has written. */
  #asIfJustNow(error: unknown): PositionsByRole {
    report(error, 'the position of a client could not be read, and its reads go to the primary')
    return unknownPositions(this.#registry.names)
  }

  /** Waits for the end of the unit of work, and hands on what the request has committed, before its response leaves. */
  after<T>(ctx: Context, positions: UnitPositions | undefined, ending: Promise<T>): Promise<T> {
    const carrier = this.#carrier
    return positions === undefined || carrier === undefined ? ending : this.#after(ctx, positions, carrier, ending)
  }

  async #after<T>(ctx: Context, positions: UnitPositions, carrier: PositionCarrier, ending: Promise<T>): Promise<T> {
    try {
      const result = await ending
      if (positions.isRaised) await this.#handOn(ctx, positions, carrier)
      return result
    } catch (error) {
      // What is committed is so, also where the request failed.
      if (positions.isRaised) await this.#handOnWith(error, ctx, positions, carrier)
      throw error
    }
  }

  /** Koa answers an error with its own headers alone. */
  async #handOnWith(error: unknown, ctx: Context, positions: UnitPositions, carrier: PositionCarrier): Promise<void> {
    const before = { ...ctx.response.headers }
    await this.#handOn(ctx, positions, carrier)
    const added = Object.entries(ctx.response.headers).filter(([name, value]) => before[name] !== value)
    if (added.length === 0 || typeof error !== 'object' || error === null || !Object.isExtensible(error)) return
    const { headers } = error as { headers?: object }
    Object.assign(error, { headers: { ...headers, ...Object.fromEntries(added) } })
  }

  /** Never rejects. */
  async #handOn(ctx: Context, positions: UnitPositions, carrier: PositionCarrier): Promise<void> {
    try {
      await positions.whenRead()
      const text = formatPositions(
        positions.latest((role) => this.#registry.engine(role).database.replication?.lastCommit ?? 0n),
      )
      if (text === undefined) return
      if (ctx.res.headersSent && sealing.has(carrier)) return dropAsSent()
      await carrier.write(ctx, sealing.has(carrier) ? seal(ctx, text) : text, this.#registry.longestLagMs)
    } catch (error) {
      report(error, 'the position of a commit could not be handed on to the next request')
    }
  }
}
