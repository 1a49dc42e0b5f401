import type { StationRecord } from '../schemas.ts'

export type Measure = 'billLengthMm' | 'billDepthMm' | 'flipperLengthMm' | 'bodyMassG'

export const MEASURES: Readonly<Record<Measure, { readonly title: string; readonly unit: string }>> = {
  billLengthMm: { title: 'Bill length', unit: 'mm' },
  billDepthMm: { title: 'Bill depth', unit: 'mm' },
  flipperLengthMm: { title: 'Flipper length', unit: 'mm' },
  bodyMassG: { title: 'Body mass', unit: 'g' },
}

export function isMeasure(value: string): value is Measure {
  return value in MEASURES
}

export interface Summary {
  readonly count: number
  readonly min: number
  readonly median: number
  readonly max: number
}

/** What was measured, ascending; what was not is left out. */
export function valuesOf(records: readonly StationRecord[], measure: Measure): readonly number[] {
  return records
    .map((record) => record[measure])
    .filter((value) => value !== null)
    .sort((a, b) => a - b)
}

/** `undefined` for no values. `ascending` must be sorted. */
export function summaryOf(ascending: readonly number[]): Summary | undefined {
  const [min, max] = [ascending[0], ascending.at(-1)]
  const [lower, upper] = [ascending[Math.floor((ascending.length - 1) / 2)], ascending[Math.ceil((ascending.length - 1) / 2)]]
  if (min === undefined || max === undefined || lower === undefined || upper === undefined) return undefined
  return { count: ascending.length, min, median: (lower + upper) / 2, max }
}
