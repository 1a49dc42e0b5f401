import type { StationRecord } from './schemas.ts'

/** The records in which every word of the query begins a word of the id, species, island or sex. */
export function searchRecords<Row extends StationRecord>(records: readonly Row[], query: string): readonly Row[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return records
  return records.filter((record) => {
    const terms = [record.id, ...record.id.split('-'), record.species, record.island, record.sex ?? 'unknown'].map((term) =>
      term.toLowerCase(),
    )
    return words.every((word) => terms.some((term) => term.startsWith(word)))
  })
}
