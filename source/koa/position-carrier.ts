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
/** Of a sealed text. */
const LONGEST = 400

/** The cookie `sqlassist_position`; sealed where the application has keys. */
const cookie: PositionCarrier = {
  read: (ctx) => ctx.cookies.get(COOKIE, { signed: false }),
  write: (ctx, position, maxAge) =>
    void ctx.cookies.set(COOKIE, position, {
      httpOnly: true,
      sameSite: 'lax',
      path: '/',
      maxAge,
      signed: false,
      overwrite: true,
    }),
}

const sealing = new WeakSet<PositionCarrier>([cookie])

/**
 * For API clients without cookies: the position stands in that header of the response, and the client sends it back in the same
 * header. Sealed where the application has keys.
 */
export function positionHeader(name: string): PositionCarrier {
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name)) {
    throw new ConfigurationError(`positionHeader() was given ${JSON.stringify(name)}, which is no name of a header.`)
  }
  const carrier: PositionCarrier = {
    read: (ctx) => ctx.get(name),
    write: (ctx, position) => ctx.set(name, position),
  }
  sealing.add(carrier)
  return carrier
}

/** @throws ConfigurationError */
export function carrierOf(readYourWrites: unknown): PositionCarrier | undefined {
  if (readYourWrites === undefined || readYourWrites === true) return cookie
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
      const text = carrier.read(ctx)
      return text instanceof Promise
        ? text.then((found) => this.#parse(ctx, carrier, found)).catch(() => this.#asIfJustNow())
        : this.#parse(ctx, carrier, text)
    } catch {
      return this.#asIfJustNow()
    }
  }

  #parse(ctx: Context, carrier: PositionCarrier, text: string | undefined): PositionsByRole {
    if (!sealing.has(carrier) || text === undefined || text === '')
      return positionsFromOutside(text, this.#registry.names)
    const opened = text.length > LONGEST ? undefined : unseal(ctx, text)
    return positionsFromOutside(opened ?? '?', this.#registry.names)
  }

  /** Nobody knows what the client has written. */
  #asIfJustNow(): PositionsByRole {
    return unknownPositions(this.#registry.names)
  }

  /** Waits for the end of the unit of work, and hands on what the request has committed, before its response leaves. */
  after<T>(ctx: Context, positions: UnitPositions | undefined, ending: Promise<T>): Promise<T> {
    const carrier = this.#carrier
    return positions === undefined || carrier === undefined ? ending : this.#after(ctx, positions, carrier, ending)
  }

  async #after<T>(ctx: Context, positions: UnitPositions, carrier: PositionCarrier, ending: Promise<T>): Promise<T> {
    try {
      return await ending
    } finally {
      // What is committed is so, also where the request failed.
      if (positions.isRaised) await this.#handOn(ctx, positions, carrier)
    }
  }

  /** Never rejects. */
  async #handOn(ctx: Context, positions: UnitPositions, carrier: PositionCarrier): Promise<void> {
    try {
      await positions.whenRead()
      const text = formatPositions(positions.all)
      if (text === undefined) return
      if (ctx.res.headersSent && sealing.has(carrier)) return dropAsSent()
      await carrier.write(ctx, sealing.has(carrier) ? seal(ctx, text) : text, this.#registry.longestLagMs)
    } catch (error) {
      report(error, 'the position of a commit could not be handed on to the next request')
    }
  }
}
