import pg from 'pg'
import { median, quantile } from './median.ts'

/** What a proxy really adds to a round trip, beside the wanted delay. */
export interface AddedDelay {
  readonly delayMs: number
  readonly addedMs: number
  readonly addedP95Ms: number
}

const TRIPS = 200

export async function addedBy(delayMs: number, direct: string, delayed: string): Promise<AddedDelay> {
  const [near, far] = [await roundTrips(direct), await roundTrips(delayed)]
  return {
    delayMs,
    addedMs: Number((median(far) - median(near)).toFixed(2)),
    addedP95Ms: Number((quantile(far, 0.95) - median(near)).toFixed(2)),
  }
}

async function roundTrips(url: string): Promise<number[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const times: number[] = []
  for (let trip = 0; trip < TRIPS; trip++) {
    const from = performance.now()
    await client.query('select 1')
    times.push(performance.now() - from)
  }
  await client.end()
  return times
}
