import type { RxJsonSchema } from 'rxdb'

export const SPECIES = ['Adelie', 'Chinstrap', 'Gentoo'] as const
export const ISLANDS = ['Biscoe', 'Dream', 'Torgersen'] as const
export type Species = (typeof SPECIES)[number]
export type Island = (typeof ISLANDS)[number]

/** One penguin that was measured at the station. `null`: not measured. The source gives no dates, so there are none. */
export interface StationRecord {
  readonly id: string
  readonly species: Species
  readonly island: Island
  readonly billLengthMm: number | null
  readonly billDepthMm: number | null
  readonly flipperLengthMm: number | null
  readonly bodyMassG: number | null
  readonly sex: 'female' | 'male' | null
}

/** What one person saw. Instants in milliseconds since 1970, by the device's clock. */
export interface Observation {
  readonly id: string
  readonly species: Species
  readonly island: Island
  readonly count: number
  readonly note: string
  readonly observedAtMs: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export const MAX_COUNT = 100_000
export const MAX_NOTE_LENGTH = 500

const measure = { type: ['number', 'null'] }
const instant = { type: 'number', minimum: 0 }
const species = { type: 'string', enum: [...SPECIES] }
const island = { type: 'string', enum: [...ISLANDS] }

export const stationRecordSchema: RxJsonSchema<StationRecord> = {
  title: 'station record',
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 40 },
    species,
    island,
    billLengthMm: measure,
    billDepthMm: measure,
    flipperLengthMm: measure,
    bodyMassG: measure,
    sex: { type: ['string', 'null'] },
  },
  required: ['id', 'species', 'island', 'billLengthMm', 'billDepthMm', 'flipperLengthMm', 'bodyMassG', 'sex'],
}

export const observationSchema: RxJsonSchema<Observation> = {
  title: 'observation',
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 40 },
    species,
    island,
    count: { type: 'integer', minimum: 1, maximum: MAX_COUNT },
    note: { type: 'string', maxLength: MAX_NOTE_LENGTH },
    observedAtMs: instant,
    createdAtMs: instant,
    updatedAtMs: instant,
  },
  required: ['id', 'species', 'island', 'count', 'note', 'observedAtMs', 'createdAtMs', 'updatedAtMs'],
}
